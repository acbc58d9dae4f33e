// Bucket: a simulated object store. It lies outside all machines, so it outlives them.
//
// BucketStore is one process's way to it. Every call takes drawn time; a put or remove takes effect in
// the middle of it, so a caller that is cancelled or loses power may have done it or not. Faults of the
// family object-store hit every bucket of the world; what they do is within the contract of ObjectStore.
// A change that is carried out late refers to the bucket: it outlives the world's last event.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/objstore/object_store.h"
#include "sim/blob.h"
#include "sim/world.h"

namespace argon::sim {

class Bucket {
 public:
  size_t size() const { return objects_.size(); }
  const std::map<std::string, std::shared_ptr<const Blob>, std::less<>>& objects() const { return objects_; }
  // Another after every change.
  uint64_t version() const { return version_; }
  // The greatest key that begins with the prefix; empty where there is none.
  std::string last_key(std::string_view prefix) const;
  const Blob* find(std::string_view key) const {
    auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second.get();
  }
  // What no client did: the object has other bytes from now on, or is gone.
  void spoil(const std::string& key, const std::optional<Bytes>& bytes);

 private:
  friend class BucketStore;
  Status put(const std::string& key, std::shared_ptr<const Blob> bytes, objstore::PutMode mode);
  void remove(const std::vector<std::string>& keys);

  int64_t second_ = 0;  // that the requests below came in
  int64_t requests_ = 0;
  uint64_t version_ = 0;
  std::map<std::string, std::shared_ptr<const Blob>, std::less<>> objects_;
};

class BucketStore final : public objstore::ObjectStore {
 public:
  // Both outlive the store. `latency`: mean of each half of a call.
  BucketStore(Bucket& bucket, Duration latency) : bucket_(bucket), latency_(latency) {}

  using ObjectStore::get;
  using ObjectStore::put;
  Status put(Task& task, const std::string& key, objstore::Source& source, objstore::PutMode mode) override;
  Result<Bytes> get(Task& task, const std::string& key, objstore::Range range) override;
  Result<objstore::ObjectInfo> head(Task& task, const std::string& key) override;
  Result<objstore::Listing> list(Task& task, const std::string& prefix, const std::string& after,
                                 size_t page_size) override;
  Status remove(Task& task, std::span<const std::string> keys) override;

 private:
  Status travel(Task& task);
  Status request(Task& task, const std::string& what);
  Status answer(Task& task, const std::string& what);
  Status put_off(Task& task, const std::string& what, std::function<void()> act);
  bool throttled(World& world);

  Bucket& bucket_;
  Duration latency_;
};

}  // namespace argon::sim
