#include "core/pageserver/deletion_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/env/points.h"
#include "core/objstore/keys.h"

namespace argon::pageserver {

std::string generation_key(const TenantId& tenant, Generation generation) {
  return objstore::tenant_prefix(tenant) + fmt::format("generation-{:08x}", generation.value);
}

Status check_generation(Task& task, objstore::ObjectStore& store, const TenantId& tenant,
                        Generation generation) {
  std::string prefix = objstore::tenant_prefix(tenant) + "generation-";
  // The numbers have a fixed width: what comes after is higher.
  auto later = store.list(task, prefix, generation_key(tenant, generation), 1);
  if (!later.ok()) return later.error().with("look for generations of tenant " + to_string(tenant));
  if (later->objects.empty()) return {};
  return Error(Code::Stale, "tenant " + to_string(tenant) + ": " + later->objects.front().key +
                                " was claimed by another start of a pageserver; this one has generation " +
                                std::to_string(generation.value));
}

DeletionQueue::DeletionQueue(Env& env, objstore::ObjectStore& store, Metrics& metrics)
    : env_(env),
      log_(env.log()),
      store_(store),
      removed_(metrics.counter("pageserver_objects_removed_total", "Objects removed by the deletion queue")),
      dropped_(metrics.counter("pageserver_deletions_dropped_total",
                               "Removals given up because the generation was stale, or the queue full")) {}

void DeletionQueue::push(const TenantId& tenant, Generation generation,
                         const std::vector<std::string>& keys) {
  if (keys.empty()) return;
  if (size_ + keys.size() > kKeysMax) {
    dropped_.add(keys.size());
    return;
  }
  std::deque<std::string>& queue = keys_[{tenant, generation}];
  queue.insert(queue.end(), keys.begin(), keys.end());
  size_ += keys.size();
  pushed_.notify_all();
}

void DeletionQueue::let_go_on(const TenantId& tenant) {
  held_.erase(tenant);
  pushed_.notify_all();
}

Status DeletionQueue::removals_ended(Task& task) {
  Lock lock;
  return lock.acquire(task, flushing_);
}

bool DeletionQueue::has_work() const {
  return std::ranges::any_of(keys_, [this](const auto& one) { return !held_.contains(one.first.first); });
}

void DeletionQueue::drop(const Owner& owner) {
  auto queue = keys_.find(owner);
  size_ -= queue->second.size();
  dropped_.add(queue->second.size());
  keys_.erase(queue);
}

Status DeletionQueue::remove_some(Task& task, const Owner& owner) {
  Status current = check_generation(task, store_, owner.first, owner.second);
  if (current.is(Code::Stale)) {
    env_.probe("pageserver.stale-removes-nothing"_probe);
    log_.warn("{} objects are not removed: {}", keys_[owner].size(), current.error().message());
    drop(owner);
    return {};
  }
  TRY(current);
  if (held_.contains(owner.first)) return {};  // meanwhile
  std::deque<std::string>& queue = keys_[owner];
  auto n = static_cast<ptrdiff_t>(std::min(queue.size(), objstore::kPageMax));
  std::vector<std::string> batch(queue.begin(), queue.begin() + n);
  TRY(store_.remove(task, batch));
  queue.erase(queue.begin(), queue.begin() + n);
  size_ -= batch.size();
  removed_.add(batch.size());
  if (queue.empty()) keys_.erase(owner);
  return {};
}

Status DeletionQueue::flush(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, flushing_));
  std::vector<Owner> owners;
  for (const auto& [owner, queue] : keys_)
    if (!held_.contains(owner.first)) owners.push_back(owner);
  Status failed;
  for (const Owner& owner : owners) {
    size_t rounds = keys_[owner].size() / objstore::kPageMax + 1;
    Status done;
    for (size_t i = 0; i < rounds && done.ok() && keys_.contains(owner); i++) done = remove_some(task, owner);
    if (done.is(Code::Cancelled)) return done;
    if (!done.ok()) failed = done;
  }
  return failed;
}

Status DeletionQueue::run(Task& task, Duration retry_delay) {
  for (;;) {
    while (!has_work()) TRY(pushed_.wait(task));
    if (env_.buggify("pageserver.removes-late"_rare)) TRY(task.sleep(retry_delay));
    Status done = flush(task);
    if (done.is(Code::Cancelled)) return done;
    if (done.ok()) continue;
    env_.probe("pageserver.garbage-stayed"_probe);
    log_.warn("remove objects, will try again: {}", done.error().to_string());
    TRY(task.sleep(retry_delay));
  }
}

}  // namespace argon::pageserver
