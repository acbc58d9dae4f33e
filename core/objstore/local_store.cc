#include "core/objstore/local_store.h"

#include <algorithm>

#include "core/env/io.h"

namespace argon::objstore {

namespace {
constexpr size_t kCopyBytes = 1u << 20;
}

LocalStore::LocalStore(Disk& disk, std::string root, std::string owner)
    : disk_(disk),
      objects_(join_path(root, "objects")),
      incoming_(join_path(join_path(root, "incoming"), owner)) {}

Result<std::unique_ptr<LocalStore>> LocalStore::open(Task& task, Disk& disk, std::string root,
                                                     std::string owner) {
  TRY(check_key(owner));
  std::unique_ptr<LocalStore> store(new LocalStore(disk, std::move(root), std::move(owner)));
  TRY(make_dirs(task, disk, store->objects_));
  TRY(make_dirs(task, disk, store->incoming_));
  TRY_ASSIGN(std::vector<DirEntry> left, disk.list(task, store->incoming_));
  for (const DirEntry& entry : left) TRY(remove_tree(task, disk, join_path(store->incoming_, entry.name)));
  return store;
}

std::string LocalStore::path_of(const std::string& key) const {
  return join_path(objects_, key);
}

Status LocalStore::write_incoming(Task& task, const std::string& path, Source& source) {
  TRY_ASSIGN(std::unique_ptr<File> file, disk_.open(task, path, OpenMode::Create));
  uint64_t size = source.size();
  Bytes chunk;
  for (uint64_t at = 0; at < size;) {
    if (uint64_t zeros = source.zeros_from(at); zeros > 0) {  // a hole
      at += zeros;
      continue;
    }
    chunk.resize(std::min<uint64_t>(kCopyBytes, size - at));
    TRY(source.read(task, at, chunk));
    TRY(write_all_at(task, *file, at, chunk).with("write " + path));
    at += chunk.size();
  }
  TRY(file->truncate(task, size).with("write " + path));
  return file->fdatasync(task).with("sync " + path);
}

Status LocalStore::put(Task& task, const std::string& key, Source& source, PutMode mode) {
  TRY(check_key(key));
  if (mode == PutMode::IfAbsent) {
    // Cheap where it is there; publish() checks again.
    Result<FileInfo> info = disk_.stat(task, path_of(key));
    if (info.ok()) return Error(Code::AlreadyExists, "object " + key + " exists already");
  }
  std::string incoming = join_path(incoming_, std::to_string(next_incoming_++));
  Status done = write_incoming(task, incoming, source);
  if (done.ok()) done = publish(task, incoming, key, mode);
  // Gone already where the rename happened; what is left over, the next open() removes.
  if (!done.ok()) ignore_result(disk_.unlink(task, incoming));
  return std::move(done).with("put object " + key);
}

Status LocalStore::publish(Task& task, const std::string& incoming, const std::string& key, PutMode mode) {
  Lock lock;
  TRY(lock.acquire(task, publishing_));
  std::string path = path_of(key);
  Result<FileInfo> there = disk_.stat(task, path);
  if (there.ok() && there->is_directory) return Error(Code::Invalid, "it is a directory of other keys");
  if (there.ok() && mode == PutMode::IfAbsent) return Error(Code::AlreadyExists, "it exists already");
  Status made = make_dirs(task, disk_, parent_path(path));
  if (made.is(Code::AlreadyExists)) return Error(Code::Invalid, "a part of it is the key of an object");
  TRY(made);
  TRY(disk_.rename(task, incoming, path));
  Status synced = disk_.sync_dir(task, parent_path(path));
  if (!synced.ok()) return Error(Code::MaybeApplied, synced.error().message(), synced.error().os_error());
  return {};
}

Result<Bytes> LocalStore::get(Task& task, const std::string& key, Range range) {
  // A folder of other keys is no object.
  TRY(head(task, key));
  Result<std::unique_ptr<File>> file = disk_.open(task, path_of(key), OpenMode::Read);
  if (file.is(Code::NotFound)) return Error(Code::NotFound, "no object " + key);
  if (!file.ok()) return file.error();
  TRY_ASSIGN(uint64_t size, (*file)->size(task));
  if (range.offset > size)
    return Error(Code::Invalid, "object " + key + " has " + std::to_string(size) +
                                    " bytes; asked for them from " + std::to_string(range.offset));
  Bytes out(std::min(range.length, size - range.offset));
  TRY(read_exact_at(task, **file, range.offset, out).with("get object " + key));
  return out;
}

Result<ObjectInfo> LocalStore::head(Task& task, const std::string& key) {
  TRY(check_key(key));
  Result<FileInfo> info = disk_.stat(task, path_of(key));
  if (info.is(Code::NotFound) || (info.ok() && info->is_directory))
    return Error(Code::NotFound, "no object " + key);
  TRY(info);
  return ObjectInfo{key, info->size};
}

Status LocalStore::remove(Task& task, std::span<const std::string> keys) {
  if (keys.size() > kPageMax)
    return Error(Code::Invalid, "at most " + std::to_string(kPageMax) + " objects are removed at once");
  std::vector<std::string> directories;
  for (const std::string& key : keys) {
    TRY(check_key(key));
    Status gone = disk_.unlink(task, path_of(key));
    if (!gone.ok() && !gone.is(Code::NotFound)) return std::move(gone).with("remove object " + key);
    if (gone.ok()) directories.push_back(parent_path(path_of(key)));
  }
  std::sort(directories.begin(), directories.end());
  directories.erase(std::unique(directories.begin(), directories.end()), directories.end());
  for (const std::string& directory : directories) {
    Status synced = disk_.sync_dir(task, directory);
    if (!synced.ok() && !synced.is(Code::NotFound))
      return Error(Code::MaybeApplied, synced.error().message());
  }
  return {};
}

}  // namespace argon::objstore
