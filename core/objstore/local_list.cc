#include <algorithm>

#include "core/env/io.h"
#include "core/objstore/local_store.h"

namespace argon::objstore {

// One list call: what is looked for, and what was found, in order.
struct LocalStore::Walk {
  const std::string& prefix;
  const std::string& after;
  size_t wanted;
  Listing found;

  bool full() const { return found.objects.size() == wanted; }
  // Some key that begins with `start` may be asked for.
  bool may_hold(const std::string& start) const {
    bool prefix_fits = start.compare(0, prefix.size(), prefix, 0, start.size()) == 0;
    bool beyond = start > after || after.starts_with(start);
    return prefix_fits && beyond;
  }
};

Status LocalStore::walk(Task& task, const std::string& directory, const std::string& key_prefix, Walk& walk) {
  Result<std::vector<DirEntry>> listed = disk_.list(task, directory);
  if (listed.is(Code::NotFound)) return {};
  TRY(listed);
  // In the order of whole keys, a directory sorts as its name and a slash.
  std::vector<std::pair<std::string, bool>> entries;
  for (const DirEntry& entry : *listed)
    entries.emplace_back(key_prefix + entry.name + (entry.is_directory ? "/" : ""), entry.is_directory);
  std::sort(entries.begin(), entries.end());
  for (const auto& [name, is_directory] : entries) {
    if (!walk.may_hold(name)) continue;
    if (is_directory) {
      TRY(this->walk(task, objects_ + "/" + name.substr(0, name.size() - 1), name, walk));
      if (walk.found.next) return {};
      continue;
    }
    if (!name.starts_with(walk.prefix) || name <= walk.after) continue;
    if (walk.full()) {
      walk.found.next = walk.found.objects.back().key;
      return {};
    }
    Result<FileInfo> info = disk_.stat(task, objects_ + "/" + name);
    if (info.is(Code::NotFound)) continue;  // removed meanwhile
    TRY(info);
    walk.found.objects.push_back({name, info->size});
  }
  return {};
}

Result<Listing> LocalStore::list(Task& task, const std::string& prefix, const std::string& after,
                                 size_t page_size) {
  Walk walk{prefix, after, std::clamp<size_t>(page_size, 1, kPageMax), {}};
  TRY(this->walk(task, objects_, "", walk).with("list objects below \"" + prefix + "\""));
  return std::move(walk.found);
}

}  // namespace argon::objstore
