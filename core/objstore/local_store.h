// LocalStore: an object store in a folder of Env's disk.
//
// ROOT/objects/KEY holds an object, as a plain file. A put writes ROOT/incoming/OWNER/N, syncs it, renames it
// to its place and syncs the directories it is named in. What a crash left in incoming/OWNER is removed by
// the next open() with the same owner.
//
// Several processes may share a folder, each with an owner name of its own. IfAbsent is exact between the
// tasks of one LocalStore; between processes it is a check before the rename.

#pragma once

#include <map>
#include <memory>

#include "core/env/env.h"
#include "core/fiber/sync.h"
#include "core/objstore/object_store.h"

namespace argon::objstore {

class LocalStore final : public ObjectStore {
 public:
  // Makes the folders where they do not exist. `owner` obeys the rules of a key's part.
  static Result<std::unique_ptr<LocalStore>> open(Task& task, Disk& disk, std::string root,
                                                  std::string owner);

  using ObjectStore::get;
  using ObjectStore::put;
  Status put(Task& task, const std::string& key, Source& source, PutMode mode) override;
  Result<Bytes> get(Task& task, const std::string& key, Range range) override;
  Result<ObjectInfo> head(Task& task, const std::string& key) override;
  Result<Listing> list(Task& task, const std::string& prefix, const std::string& after,
                       size_t page_size) override;
  Status remove(Task& task, std::span<const std::string> keys) override;

 private:
  LocalStore(Disk& disk, std::string root, std::string owner);
  std::string path_of(const std::string& key) const;
  Status write_incoming(Task& task, const std::string& path, Source& source);
  // Renames into place; IfAbsent checks first.
  Status publish(Task& task, const std::string& incoming, const std::string& key, PutMode mode);
  struct Walk;
  Status walk(Task& task, const std::string& directory, const std::string& key_prefix, Walk& walk);

  Disk& disk_;
  std::string objects_;
  std::string incoming_;
  uint64_t next_incoming_ = 0;
  Mutex publishing_;
};

}  // namespace argon::objstore
