// The safekeeper daemon: keeps computes' WAL until pageservers have it.
//
// Ports: WAL (frames and PostgreSQL's replication protocol) and HTTP (management, metrics). State: DATA_DIR.
// Peers are heard of through the broker; without one everything but finding each other works.

#pragma once

#include "core/env/env.h"
#include "core/objstore/object_store.h"
#include "core/safekeeper/config.h"

namespace argon::safekeeper {

// Serves until the task is cancelled; then saves positions and stops in order. `store`: where WAL is
// backed up, borrowed; null: nowhere. Errors: what kept it from starting.
Status run_safekeeper(Task& task, Env& env, const SafekeeperConfig& config,
                      objstore::ObjectStore* store = nullptr);

}  // namespace argon::safekeeper
