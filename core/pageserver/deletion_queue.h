// DeletionQueue: objects of tenants that no index names any more, on their way out of the object store.
//
// An object may be pushed once an index that does not name it is durable. Before it is removed, the queue
// makes sure that the pageserver's generation is still the tenant's newest: a life that began meanwhile
// claims its generation first and lists indexes after, so either it is seen here, and nothing is removed, or
// it has read an index that does not name the object. What is lost with the process, or dropped, is found
// again by a later life (Remote::find_orphans).

#pragma once

#include <deque>
#include <map>
#include <set>

#include "core/base/ids.h"
#include "core/base/metrics.h"
#include "core/env/log.h"
#include "core/fiber/sync.h"
#include "core/objstore/object_store.h"

namespace argon::pageserver {

// Ok while nobody claimed a higher one. Errors: Stale names tenant and both; those of the object store.
// Suspends.
Status check_generation(Task& task, objstore::ObjectStore& store, const TenantId& tenant,
                        Generation generation);
std::string generation_key(const TenantId& tenant, Generation generation);

class DeletionQueue {
 public:
  // Keys in memory, at most; beyond that they are left for a later life.
  static constexpr size_t kKeysMax = 1'000'000;

  DeletionQueue(Env& env, objstore::ObjectStore& store, Metrics& metrics);

  // REQUIRES: no index of the timeline that is, or may become, the newest names one of the keys.
  void push(const TenantId& tenant, Generation generation, const std::vector<std::string>& keys);
  // Removes everything that was pushed before. What fails stays in the queue, but for the keys of a tenant
  // whose generation is stale.
  Status flush(Task& task);
  // Flushes as keys come, until the task is cancelled; pauses for `retry_delay` after an error.
  Status run(Task& task, Duration retry_delay);
  size_t size() const { return size_; }
  // Nothing of the tenant is removed until it is let go on; what is pushed stays in the queue.
  void hold(const TenantId& tenant) { held_.insert(tenant); }
  void let_go_on(const TenantId& tenant);
  // A removal that began before has ended. Suspends.
  Status removals_ended(Task& task);

 private:
  using Owner = std::pair<TenantId, Generation>;
  Status remove_some(Task& task, const Owner& owner);
  void drop(const Owner& owner);
  bool has_work() const;

  Env& env_;
  Logger log_;
  objstore::ObjectStore& store_;
  std::map<Owner, std::deque<std::string>> keys_;
  size_t size_ = 0;
  std::set<TenantId> held_;
  WaitList pushed_;
  Mutex flushing_;
  Counter& removed_;
  Counter& dropped_;
};

}  // namespace argon::pageserver
