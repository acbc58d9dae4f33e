#include "daemons/main/store_disk.h"

#include <algorithm>

namespace argon::cli {
namespace {

// Greater than whatever a key may go on with.
constexpr char kBehindAll = '~';

Error read_only(const std::string& path) {
  return Error(Code::Unsupported, path + " is in an object store that is only read");
}

class StoreFile final : public File {
 public:
  StoreFile(objstore::ObjectStore& store, objstore::ObjectInfo object)
      : store_(store), object_(std::move(object)) {}

  Result<size_t> read_at(Task& task, uint64_t offset, ByteSpan into) override {
    if (offset >= object_.size || into.empty()) return size_t{0};
    uint64_t length = std::min<uint64_t>(into.size(), object_.size - offset);
    TRY_ASSIGN(Bytes bytes, store_.get(task, object_.key, {offset, length}));
    size_t n = std::min(bytes.size(), into.size());
    std::copy_n(bytes.begin(), n, into.begin());
    return n;
  }
  Result<uint64_t> size(Task&) override { return object_.size; }
  Result<size_t> write_at(Task&, uint64_t, ByteView) override { return read_only(object_.key); }
  Status fdatasync(Task&) override { return read_only(object_.key); }
  Status truncate(Task&, uint64_t) override { return read_only(object_.key); }

 private:
  objstore::ObjectStore& store_;
  objstore::ObjectInfo object_;
};

}  // namespace

Result<std::string> StoreDisk::key_of(const std::string& path) const {
  if (path == root_) return std::string();
  if (path.starts_with(root_ + "/")) return path.substr(root_.size() + 1);
  return Error(Code::Invalid, path + " is not below " + root_);
}

Result<std::unique_ptr<File>> StoreDisk::open(Task& task, const std::string& path, OpenMode mode) {
  if (mode != OpenMode::Read) return read_only(path);
  TRY_ASSIGN(std::string key, key_of(path));
  TRY_ASSIGN(objstore::ObjectInfo object, store_.head(task, key));
  return std::unique_ptr<File>(std::make_unique<StoreFile>(store_, std::move(object)));
}

// What lies in a folder below is passed over at once.
Result<std::vector<DirEntry>> StoreDisk::list(Task& task, const std::string& path) {
  TRY_ASSIGN(std::string prefix, key_of(path));
  if (!prefix.empty()) prefix += '/';
  std::vector<DirEntry> entries;
  std::string after;
  for (bool more = true; more;) {
    TRY_ASSIGN(objstore::Listing page, store_.list(task, prefix, after, objstore::kPageMax));
    more = page.next.has_value();
    if (more) after = *page.next;
    for (const objstore::ObjectInfo& object : page.objects) {
      std::string name = object.key.substr(prefix.size());
      size_t end = name.find('/');
      bool folder = end != std::string::npos;
      name.resize(std::min(end, name.size()));
      if (!entries.empty() && entries.back().name == name) continue;
      entries.push_back({name, folder});
      if (folder && more) after = std::max(after, prefix + name + "/" + kBehindAll);
    }
  }
  if (entries.empty()) return Error(Code::NotFound, path + " is not there");
  std::ranges::sort(entries);
  return entries;
}

Result<FileInfo> StoreDisk::stat(Task& task, const std::string& path) {
  TRY_ASSIGN(std::string key, key_of(path));
  auto object = store_.head(task, key);
  if (object.ok()) return FileInfo{false, object->size};
  if (!object.is(Code::NotFound)) return object.error();
  TRY(list(task, path));
  return FileInfo{true, 0};
}

Status StoreDisk::rename(Task&, const std::string& from, const std::string&) {
  return read_only(from);
}
Status StoreDisk::unlink(Task&, const std::string& path) {
  return read_only(path);
}
Status StoreDisk::make_dir(Task&, const std::string& path) {
  return read_only(path);
}
Status StoreDisk::remove_dir(Task&, const std::string& path) {
  return read_only(path);
}
Status StoreDisk::sync_dir(Task&, const std::string& path) {
  return read_only(path);
}
Result<SpaceInfo> StoreDisk::space(Task&, const std::string& path) {
  return read_only(path);
}

}  // namespace argon::cli
