// For tests: what timelines of a pageserver share, without the pageserver.

#pragma once

#include "core/pageserver/timeline.h"

namespace argon::sim {

// Of one life. The environment and the object store outlive it.
struct PageserverServices {
  PageserverServices(Env& env, objstore::ObjectStore& store)
      : deletions(env, store, metrics), services{env, store, nodes, uploads, metrics, deletions} {}

  Metrics metrics;
  pageserver::NodeCache nodes{64};
  Semaphore uploads{4};
  pageserver::DeletionQueue deletions;
  pageserver::Services services;
};

}  // namespace argon::sim
