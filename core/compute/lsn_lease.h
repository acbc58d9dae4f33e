// Leases of an LSN at the pageserver: what keeps garbage collection from the history that a static endpoint
// shows.

#pragma once

#include <functional>

#include "core/base/ids.h"
#include "core/env/env.h"
#include "core/env/log.h"
#include "core/env/network.h"

namespace argon::compute {

struct LsnLease {
  Address pageserver;
  TenantTimelineId id;
  Lsn lsn;
};

// Takes the lease, or renews it: how long it is in force from now on. Errors: Invalid (the LSN cannot be read
// any more); those of the connection, and what the pageserver answered. Suspends.
Result<Duration> take_lease(Task& task, Env& env, const LsnLease& lease);
// Renews it well before its end, `length` from now, until the task is cancelled; the pageserver may be
// another each time. What fails is logged and tried again: the server's reads say what is not there.
Status keep_lease(Task& task, Env& env, const Logger& log, const std::function<LsnLease()>& lease,
                  Duration length);

}  // namespace argon::compute
