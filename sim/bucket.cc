#include "sim/bucket.h"

#include <algorithm>

#include "sim/machine.h"

namespace argon::sim {

using objstore::Listing;
using objstore::ObjectInfo;

using faults::Kind;

namespace {

constexpr size_t kPiece = 128 * 1024;

// Every task of a simulated world has a simulated Env.
SimEnv& env_of(Task& task) {
  return static_cast<SimEnv&>(task.env());
}

Error refused(const std::string& what, const char* why) {
  return Error(Code::Unavailable, what + ": " + why);
}

// As a client sends it: piece by piece.
Result<std::shared_ptr<const Blob>> read_source(Task& task, objstore::Source& source) {
  auto blob = std::make_shared<Blob>();
  Bytes piece(std::min<uint64_t>(source.size(), kPiece));
  while (blob->size() < source.size()) {
    if (uint64_t zeros = source.zeros_from(blob->size()); zeros > 0) {
      blob->append_zeros(zeros);
      continue;
    }
    ByteSpan part = ByteSpan(piece).first(std::min<uint64_t>(piece.size(), source.size() - blob->size()));
    TRY(source.read(task, blob->size(), part));
    blob->append(part);
  }
  return std::shared_ptr<const Blob>(std::move(blob));
}

bool strikes(SimEnv& env, Kind kind) {
  if (!env.world().faults.strikes(kind, env.random("world.bucket"))) return false;
  env.world().counters.add(kind);
  return true;
}

}  // namespace

Status Bucket::put(const std::string& key, std::shared_ptr<const Blob> bytes, objstore::PutMode mode) {
  if (mode == objstore::PutMode::IfAbsent && objects_.contains(key))
    return Error(Code::AlreadyExists, "put " + key + ": it exists");
  objects_[key] = std::move(bytes);
  version_++;
  return {};
}

std::string Bucket::last_key(std::string_view prefix) const {
  std::string last;
  for (auto at = objects_.lower_bound(prefix); at != objects_.end() && at->first.starts_with(prefix); ++at)
    last = at->first;
  return last;
}

void Bucket::spoil(const std::string& key, const std::optional<Bytes>& bytes) {
  objects_.erase(key);
  if (bytes) {
    auto blob = std::make_shared<Blob>();
    blob->append(*bytes);
    objects_[key] = std::move(blob);
  }
  version_++;
}

void Bucket::remove(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) objects_.erase(key);
  version_++;
}

// Half of a call's time.
Status BucketStore::travel(Task& task) {
  World& world = env_of(task).world();
  Duration time = task.env().random("world.bucket").exponential(latency_);
  if (world.faults.on(Kind::StoreSlow)) {
    time = time * std::max<int64_t>(world.faults.value(Kind::StoreSlow), 1);
    world.counters.add(Kind::StoreSlow);
  }
  return task.sleep(time);
}

bool BucketStore::throttled(World& world) {
  int64_t second = world.now().to_seconds();
  if (second != bucket_.second_) bucket_.requests_ = 0;
  bucket_.second_ = second;
  if (!world.faults.on(Kind::StoreThrottle)) return false;
  return ++bucket_.requests_ > world.faults.value(Kind::StoreThrottle);
}

// The request's way. Nothing has happened where it fails.
Status BucketStore::request(Task& task, const std::string& what) {
  SimEnv& env = env_of(task);
  World& world = env.world();
  Random& random = env.random("world.bucket");
  TRY(travel(task));
  if (env.machine().faults.on(Kind::StoreUnreachable)) {
    world.counters.add(Kind::StoreUnreachable);
    TRY(task.sleep(random.exponential(Duration::seconds(2))));
    return refused(what, "no way to the object store");
  }
  if (world.faults.on(Kind::StoreOutage)) {
    world.counters.add(Kind::StoreOutage);
    return refused(what, "503 Service Unavailable");
  }
  if (throttled(world)) {
    world.counters.add(Kind::StoreThrottle);
    return refused(what, "503 Slow Down");
  }
  if (strikes(env, Kind::StoreHang)) {
    TRY(task.sleep(Duration::milliseconds(static_cast<int64_t>(random.log_uniform(500, 30'000)))));
    return refused(what, "no answer in time");
  }
  if (strikes(env, Kind::StoreError)) return refused(what, "500 Internal Error");
  return {};
}

// Where the change is to be carried out later the client gives up before.
Status BucketStore::put_off(Task& task, const std::string& what, std::function<void()> act) {
  SimEnv& env = env_of(task);
  if (!strikes(env, Kind::StoreLate)) return {};
  Random& random = env.random("world.bucket");
  env.world().after(Duration::milliseconds(static_cast<int64_t>(random.log_uniform(1, 30'000))),
                    std::move(act));
  TRY(task.sleep(random.exponential(Duration::seconds(1))));
  return Error(Code::MaybeApplied, what + ": no answer in time");
}

// The answer's way back, of a call that changed something.
Status BucketStore::answer(Task& task, const std::string& what) {
  Status arrived = travel(task);
  if (!arrived.ok()) return Error(Code::MaybeApplied, what + ": no answer: " + arrived.error().message());
  if (strikes(env_of(task), Kind::StoreLostAnswer))
    return Error(Code::MaybeApplied, what + ": the connection was lost before an answer came");
  return {};
}

Status BucketStore::put(Task& task, const std::string& key, objstore::Source& source,
                        objstore::PutMode mode) {
  TRY(objstore::check_key(key));
  TRY_ASSIGN(std::shared_ptr<const Blob> bytes, read_source(task, source));
  TRY(request(task, "put " + key));
  // What fails later has failed unseen.
  TRY(put_off(task, "put " + key,
              [&bucket = bucket_, key, bytes, mode] { ignore_result(bucket.put(key, bytes, mode)); }));
  TRY(bucket_.put(key, std::move(bytes), mode));
  return answer(task, "put " + key);
}

Result<Bytes> BucketStore::get(Task& task, const std::string& key, objstore::Range range) {
  TRY(objstore::check_key(key));
  TRY(request(task, "get " + key));
  const Blob* found = bucket_.find(key);
  if (found == nullptr) return Error(Code::NotFound, "get " + key + ": no such object");
  if (range.offset > found->size())
    return Error(Code::Invalid,
                 "get " + key + ": the range begins beyond its " + std::to_string(found->size()) + " bytes");
  size_t n = static_cast<size_t>(std::min<uint64_t>(range.length, found->size() - range.offset));
  Bytes part = found->read(range.offset, n);
  TRY(travel(task));
  if (strikes(env_of(task), Kind::StoreReadError))
    return Error(Code::Io,
                 "get " + key + ": the answer broke off before its " + std::to_string(n) + " bytes");
  return part;
}

Result<ObjectInfo> BucketStore::head(Task& task, const std::string& key) {
  TRY(objstore::check_key(key));
  TRY(request(task, "head " + key));
  const Blob* found = bucket_.find(key);
  if (found == nullptr) return Error(Code::NotFound, "head " + key + ": no such object");
  return ObjectInfo{key, found->size()};
}

Result<Listing> BucketStore::list(Task& task, const std::string& prefix, const std::string& after,
                                  size_t page_size) {
  TRY(request(task, "list " + prefix));
  Listing page;
  size_t limit = std::clamp<size_t>(page_size, 1, objstore::kPageMax);
  auto at = after.empty() || after < prefix ? bucket_.objects_.lower_bound(prefix)
                                            : bucket_.objects_.upper_bound(after);
  for (; at != bucket_.objects_.end() && at->first.starts_with(prefix); ++at) {
    if (page.objects.size() == limit) {
      page.next = page.objects.back().key;
      break;
    }
    page.objects.push_back({at->first, at->second->size()});
  }
  return page;
}

Status BucketStore::remove(Task& task, std::span<const std::string> keys) {
  for (const std::string& key : keys) TRY(objstore::check_key(key));
  TRY(request(task, "remove"));
  std::vector<std::string> all(keys.begin(), keys.end());
  TRY(put_off(task, "remove", [&bucket = bucket_, all] { bucket.remove(all); }));
  bucket_.remove(all);
  return answer(task, "remove");
}

}  // namespace argon::sim
