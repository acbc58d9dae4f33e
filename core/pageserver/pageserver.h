// The pageserver: everything of core/pageserver put together.

#pragma once

#include "core/pageserver/config.h"

namespace argon::pageserver {

// Attaches what the object store lists, then serves pages and management until the task is cancelled
// (an orderly stop flushes and uploads, within a bound). Errors: what listening said, the object store's at
// the start.
Status run_pageserver(Task& task, Env& env, const PageserverConfig& config, objstore::ObjectStore& store);

}  // namespace argon::pageserver
