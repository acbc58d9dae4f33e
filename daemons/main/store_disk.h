// StoreDisk: an object store, seen as files and folders, to be read only. For what checks both kinds of
// store.
//
// An object "a/b" is the file ROOT/a/b; folders are there as long as an object is below them. What changes
// (rename, unlink, …) and a file's writes are Unsupported. A folder's list is read in pages: what comes or
// goes meanwhile may be in it or not.

#pragma once

#include <optional>
#include <string>

#include "core/env/disk.h"
#include "core/objstore/object_store.h"

namespace argon::cli {

class StoreDisk final : public Disk {
 public:
  // `root`: how paths begin. The store outlives it.
  StoreDisk(objstore::ObjectStore& store, std::string root) : store_(store), root_(std::move(root)) {}

  Result<std::unique_ptr<File>> open(Task& task, const std::string& path, OpenMode mode) override;
  Result<std::vector<DirEntry>> list(Task& task, const std::string& path) override;
  Result<FileInfo> stat(Task& task, const std::string& path) override;

  Status rename(Task& task, const std::string& from, const std::string& to) override;
  Status unlink(Task& task, const std::string& path) override;
  Status make_dir(Task& task, const std::string& path) override;
  Status remove_dir(Task& task, const std::string& path) override;
  Status sync_dir(Task& task, const std::string& path) override;
  Result<SpaceInfo> space(Task& task, const std::string& path) override;

 private:
  // Invalid: it is not below the root.
  Result<std::string> key_of(const std::string& path) const;

  objstore::ObjectStore& store_;
  std::string root_;
};

}  // namespace argon::cli
