#include "core/objstore/object_store.h"

#include <algorithm>
#include <cstring>

namespace argon::objstore {

Status MemorySource::read(Task&, uint64_t offset, ByteSpan into) {
  CHECK(offset + into.size() <= bytes_.size());
  if (!into.empty()) std::memcpy(into.data(), bytes_.data() + offset, into.size());
  return {};
}

Status check_key(const std::string& key) {
  auto bad = [&key](std::string_view why) {
    return Error(Code::Invalid, "object key \"" + key + "\": " + std::string(why));
  };
  if (key.empty()) return bad("it is empty");
  if (key.size() > kKeyMax) return bad("it is longer than " + std::to_string(kKeyMax) + " bytes");
  bool part_begins = true;
  for (char c : key) {
    if (c == '/') {
      if (part_begins) return bad("it has an empty part");
      part_begins = true;
      continue;
    }
    bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                   c == '-' || c == '.';
    if (!allowed) return bad("only letters, digits, '.', '_', '-' and '/' are allowed");
    if (part_begins && c == '.') return bad("a part begins with a dot");
    part_begins = false;
  }
  if (part_begins) return bad("it ends in '/'");
  return {};
}

Result<std::vector<ObjectInfo>> list_all(Task& task, ObjectStore& store, const std::string& prefix,
                                         size_t limit) {
  std::vector<ObjectInfo> all;
  std::string after;
  while (true) {
    TRY_ASSIGN(Listing page, store.list(task, prefix, after, kPageMax));
    std::move(page.objects.begin(), page.objects.end(), std::back_inserter(all));
    if (all.size() > limit)
      return Error(Code::Unsupported,
                   "more than " + std::to_string(limit) + " objects below \"" + prefix + "\"");
    if (!page.next) return all;
    after = *page.next;
  }
}

Result<size_t> remove_all(Task& task, ObjectStore& store, const std::string& prefix) {
  size_t removed = 0;
  std::string after;
  while (true) {
    TRY_ASSIGN(Listing page, store.list(task, prefix, after, kPageMax));
    std::vector<std::string> keys;
    for (const ObjectInfo& object : page.objects) keys.push_back(object.key);
    if (!keys.empty()) TRY(store.remove(task, keys));
    removed += keys.size();
    if (!page.next) return removed;
    after = *page.next;
  }
}

}  // namespace argon::objstore
