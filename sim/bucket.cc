#include "sim/bucket.h"

#include <algorithm>

namespace argon::sim {

using objstore::Listing;
using objstore::ObjectInfo;

// The request's way; nothing has happened where it fails.
Status BucketStore::travel(Task& task) {
  return task.sleep(task.env().random("world.bucket").exponential(latency_));
}

// The answer's way back, of a call that changed something.
Status BucketStore::answer(Task& task, std::string_view what) {
  Status arrived = travel(task);
  if (arrived.ok()) return {};
  return Error(Code::MaybeApplied, std::string(what) + ": no answer: " + arrived.error().message());
}

Status BucketStore::put(Task& task, const std::string& key, objstore::Source& source,
                        objstore::PutMode mode) {
  TRY(objstore::check_key(key));
  Bytes bytes(source.size());
  TRY(source.read(task, 0, bytes));
  TRY(travel(task));
  if (mode == objstore::PutMode::IfAbsent && bucket_.objects_.contains(key))
    return Error(Code::AlreadyExists, "put " + key + ": it exists");
  bucket_.objects_[key] = std::move(bytes);
  return answer(task, "put " + key);
}

Result<Bytes> BucketStore::get(Task& task, const std::string& key, objstore::Range range) {
  TRY(objstore::check_key(key));
  TRY(travel(task));
  const Bytes* found = bucket_.find(key);
  if (found == nullptr) return Error(Code::NotFound, "get " + key + ": no such object");
  if (range.offset > found->size())
    return Error(Code::Invalid,
                 "get " + key + ": the range begins beyond its " + std::to_string(found->size()) + " bytes");
  size_t n = static_cast<size_t>(std::min<uint64_t>(range.length, found->size() - range.offset));
  Bytes part = to_bytes(ByteView(*found).subspan(range.offset, n));
  TRY(travel(task));
  return part;
}

Result<ObjectInfo> BucketStore::head(Task& task, const std::string& key) {
  TRY(objstore::check_key(key));
  TRY(travel(task));
  const Bytes* found = bucket_.find(key);
  if (found == nullptr) return Error(Code::NotFound, "head " + key + ": no such object");
  return ObjectInfo{key, found->size()};
}

Result<Listing> BucketStore::list(Task& task, const std::string& prefix, const std::string& after,
                                  size_t page_size) {
  TRY(travel(task));
  Listing page;
  size_t limit = std::clamp<size_t>(page_size, 1, objstore::kPageMax);
  auto at = after.empty() || after < prefix ? bucket_.objects_.lower_bound(prefix)
                                            : bucket_.objects_.upper_bound(after);
  for (; at != bucket_.objects_.end() && at->first.starts_with(prefix); ++at) {
    if (page.objects.size() == limit) {
      page.next = page.objects.back().key;
      break;
    }
    page.objects.push_back({at->first, at->second.size()});
  }
  return page;
}

Status BucketStore::remove(Task& task, std::span<const std::string> keys) {
  for (const std::string& key : keys) TRY(objstore::check_key(key));
  TRY(travel(task));
  for (const std::string& key : keys) bucket_.objects_.erase(key);
  return answer(task, "remove");
}

}  // namespace argon::sim
