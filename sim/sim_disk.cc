#include "sim/sim_disk.h"

#include <cerrno>

#include "core/base/checksum.h"
#include "sim/machine.h"

namespace argon::sim {

using faults::Kind;

namespace {

Error fail(Code code, std::string what, int os_error) {
  return Error(code, std::move(what), os_error);
}

Error no_entry(const char* what, const std::string& path) {
  return fail(Code::NotFound, std::string(what) + " " + path + ": No such file or directory", ENOENT);
}

}  // namespace

class SimFile final : public File {
 public:
  SimFile(SimDisk& disk, std::shared_ptr<Inode> inode, std::string path, bool writable)
      : disk_(disk), inode_(std::move(inode)), path_(std::move(path)), writable_(writable) {}

  Result<size_t> read_at(Task& task, uint64_t offset, ByteSpan into) override {
    disk_.pause(task, config().read);
    if (disk_.strikes(Kind::ReadError)) return fail(Code::Io, "read " + path_ + ": Input/output error", EIO);
    size_t n = inode_->read(offset, into);
    record(EventKind::DiskRead, hash64(into.first(n)), n);
    return n;
  }

  Result<size_t> write_at(Task& task, uint64_t offset, ByteView from) override {
    if (!writable_) return fail(Code::Invalid, "write " + path_ + ": Bad file descriptor", EBADF);
    if (from.empty()) return size_t{0};
    disk_.pause(task, config().write);
    if (disk_.strikes(Kind::WriteError))
      return fail(Code::Io, "write " + path_ + ": Input/output error", EIO);
    uint64_t needed = inode_->pages_needed(offset, from.size()) * kPageSize;
    if (needed > 0 &&
        (disk_.strikes(Kind::NoSpace) || disk_.storage().bytes_in_use() + needed > config().capacity))
      return fail(Code::NoSpace, "write " + path_ + ": No space left on device", ENOSPC);
    inode_->write(offset, from);
    record(EventKind::DiskWrite, hash64(from), from.size());
    return from.size();
  }

  Status fdatasync(Task& task) override {
    bool fails = disk_.strikes(Kind::SyncFailure);
    if (fails) {
      disk_.pause(task, config().sync);
      inode_->fail_sync(inode_->begin_sync());
      return fail(Code::Io, "fdatasync " + path_ + ": Input/output error", EIO);
    }
    struct Syncing {
      ~Syncing() {
        if (!ended) inode.abandon_sync();
      }
      Inode& inode;
      Inode::SyncToken token = inode.begin_sync();
      bool ended = false;
    } syncing{*inode_};
    disk_.pause(task, config().sync);
    syncing.ended = true;
    inode_->end_sync(syncing.token);
    record(EventKind::DiskSync, inode_->size());
    return {};
  }

  Status truncate(Task& task, uint64_t size) override {
    if (!writable_) return fail(Code::Invalid, "truncate " + path_ + ": Bad file descriptor", EBADF);
    disk_.pause(task, config().write);
    if (disk_.strikes(Kind::WriteError))
      return fail(Code::Io, "truncate " + path_ + ": Input/output error", EIO);
    inode_->truncate(size);
    record(EventKind::DiskTruncate, size);
    return {};
  }

  Result<uint64_t> size(Task&) override { return inode_->size(); }

 private:
  const DiskConfig& config() const { return disk_.env_.world().options().disk; }
  void record(EventKind kind, uint64_t b, size_t size = 0) {
    disk_.env_.world().record(kind, disk_.env_.machine().index(), static_cast<uint32_t>(inode_->id()), b,
                              static_cast<uint32_t>(size));
  }

  SimDisk& disk_;
  std::shared_ptr<Inode> inode_;
  std::string path_;
  bool writable_;
};

SimDisk::SimDisk(SimEnv& env) : env_(env), random_(env.random("world.disk")) {}

Storage& SimDisk::storage() {
  return env_.machine().storage();
}

// Not interrupted: neither cancellation nor a deadline undoes what the device does.
void SimDisk::pause(Task& task, Duration mean) {
  Shield shield(task);
  Duration time = random_.exponential(mean);
  if (env_.machine().faults.on(Kind::SlowDisk)) {
    time = time * std::max<int64_t>(env_.machine().faults.value(Kind::SlowDisk), 1);
    env_.world().counters.add(Kind::SlowDisk);
  }
  ignore_result(task.sleep(time));
}

bool SimDisk::strikes(Kind kind) {
  if (!env_.machine().faults.strikes(kind, random_)) return false;
  env_.world().counters.add(kind);
  return true;
}

void SimDisk::record_name(std::string_view what, const std::string& path) {
  if (env_.world().traced()) env_.world().log().name(hash64(as_bytes(path)), path);
  env_.world().record(EventKind::DiskName, env_.machine().index(),
                      static_cast<uint32_t>(hash64(as_bytes(what))), hash64(as_bytes(path)));
}

Result<std::unique_ptr<File>> SimDisk::open(Task& task, const std::string& path, OpenMode mode) {
  pause(task, env_.world().options().disk.name);
  std::string name;
  std::shared_ptr<Inode> directory = storage().parent(path, name);
  if (directory == nullptr) return no_entry("open", path);
  auto entry = directory->entries.find(name);
  bool exists = entry != directory->entries.end();
  if (exists && entry->second->is_directory())
    return fail(Code::Invalid, "open " + path + ": Is a directory", EISDIR);
  if (exists && mode == OpenMode::Create)
    return fail(Code::AlreadyExists, "open " + path + ": File exists", EEXIST);
  if (!exists && (mode == OpenMode::Read || mode == OpenMode::ReadWrite)) return no_entry("open", path);
  std::shared_ptr<Inode> inode = exists ? entry->second : nullptr;
  if (!exists) {
    if (strikes(Kind::NoSpace))
      return fail(Code::NoSpace, "create " + path + ": No space left on device", ENOSPC);
    inode = storage().make(false);
    storage().link(directory, name, inode);
  }
  record_name(exists ? "open" : "create", path);
  if (env_.world().traced())
    env_.world().log().name(uint64_t{env_.machine().index()} << 32 | inode->id(), path);
  return std::unique_ptr<File>(std::make_unique<SimFile>(*this, inode, path, mode != OpenMode::Read));
}

Status SimDisk::rename(Task& task, const std::string& from, const std::string& to) {
  pause(task, env_.world().options().disk.name);
  std::string old_name;
  std::string new_name;
  std::shared_ptr<Inode> source = storage().parent(from, old_name);
  std::shared_ptr<Inode> target = storage().parent(to, new_name);
  if (source == nullptr || target == nullptr || !source->entries.contains(old_name))
    return no_entry("rename", from);
  std::shared_ptr<Inode> inode = source->entries.at(old_name);
  auto existing = target->entries.find(new_name);
  if (existing != target->entries.end()) {
    if (existing->second == inode) return {};
    if (existing->second->is_directory() && !existing->second->entries.empty())
      return fail(Code::AlreadyExists, "rename " + from + " to " + to + ": Directory not empty", ENOTEMPTY);
    if (existing->second->is_directory() != inode->is_directory())
      return fail(Code::Invalid, "rename " + from + " to " + to + ": Is a directory", EISDIR);
  }
  storage().rename(source, old_name, target, new_name);
  record_name("rename", from + "\n" + to);
  return {};
}

Status SimDisk::unlink(Task& task, const std::string& path) {
  pause(task, env_.world().options().disk.name);
  std::string name;
  std::shared_ptr<Inode> directory = storage().parent(path, name);
  if (directory == nullptr || !directory->entries.contains(name)) return no_entry("unlink", path);
  if (directory->entries.at(name)->is_directory())
    return fail(Code::Invalid, "unlink " + path + ": Is a directory", EISDIR);
  storage().link(directory, name, nullptr);
  record_name("unlink", path);
  return {};
}

Status SimDisk::make_dir(Task& task, const std::string& path) {
  pause(task, env_.world().options().disk.name);
  std::string name;
  std::shared_ptr<Inode> directory = storage().parent(path, name);
  if (directory == nullptr) {
    if (storage().find(path) == storage().root())
      return fail(Code::AlreadyExists, "make directory " + path + ": File exists", EEXIST);
    return no_entry("make directory", path);
  }
  if (directory->entries.contains(name))
    return fail(Code::AlreadyExists, "make directory " + path + ": File exists", EEXIST);
  if (strikes(Kind::NoSpace))
    return fail(Code::NoSpace, "make directory " + path + ": No space left on device", ENOSPC);
  storage().link(directory, name, storage().make(true));
  record_name("mkdir", path);
  return {};
}

Status SimDisk::remove_dir(Task& task, const std::string& path) {
  pause(task, env_.world().options().disk.name);
  std::string name;
  std::shared_ptr<Inode> directory = storage().parent(path, name);
  if (directory == nullptr || !directory->entries.contains(name)) return no_entry("remove directory", path);
  std::shared_ptr<Inode> inode = directory->entries.at(name);
  if (!inode->is_directory())
    return fail(Code::Invalid, "remove directory " + path + ": Not a directory", ENOTDIR);
  if (!inode->entries.empty())
    return fail(Code::AlreadyExists, "remove directory " + path + ": Directory not empty", ENOTEMPTY);
  storage().link(directory, name, nullptr);
  record_name("rmdir", path);
  return {};
}

Result<std::vector<DirEntry>> SimDisk::list(Task& task, const std::string& path) {
  pause(task, env_.world().options().disk.name);
  std::shared_ptr<Inode> inode = storage().find(path);
  if (inode == nullptr) return no_entry("list", path);
  if (!inode->is_directory()) return fail(Code::Invalid, "list " + path + ": Not a directory", ENOTDIR);
  std::vector<DirEntry> entries;
  for (const auto& [name, child] : inode->entries) entries.push_back({name, child->is_directory()});
  return entries;
}

Result<FileInfo> SimDisk::stat(Task& task, const std::string& path) {
  pause(task, env_.world().options().disk.name);
  std::shared_ptr<Inode> inode = storage().find(path);
  if (inode == nullptr) return no_entry("stat", path);
  return FileInfo{inode->is_directory(), inode->size()};
}

Status SimDisk::sync_dir(Task& task, const std::string& path) {
  pause(task, env_.world().options().disk.sync);
  std::shared_ptr<Inode> inode = storage().find(path);
  if (inode == nullptr) return no_entry("sync directory", path);
  if (!inode->is_directory())
    return fail(Code::Invalid, "sync directory " + path + ": Not a directory", ENOTDIR);
  if (strikes(Kind::SyncFailure))
    return fail(Code::Io, "sync directory " + path + ": Input/output error", EIO);
  storage().sync_names(*inode);
  record_name("sync", path);
  return {};
}

Result<SpaceInfo> SimDisk::space(Task& task, const std::string& path) {
  pause(task, env_.world().options().disk.name);
  if (storage().find(path) == nullptr) return no_entry("statfs", path);
  SpaceInfo info;
  info.total = env_.world().options().disk.capacity;
  uint64_t used = std::min(storage().bytes_in_use(), info.total);
  info.available = env_.machine().faults.on(Kind::NoSpace) ? 0 : info.total - used;
  return info;
}

}  // namespace argon::sim
