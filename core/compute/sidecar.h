// The sidecar: `argon compute`. Prepares, starts and watches one endpoint's stock PostgreSQL server,
// and is the proposer of its WAL.
//
// For a primary, each start is: elect -> the start position S is committed by a quorum -> base backup at
// S -> the server starts; one proposer throughout. When the server crashes, everything is made anew, a new
// election included. When another proposer was elected meanwhile, the server is stopped at once and
// run_compute returns Stale: two endpoints never take turns on a timeline.

#pragma once

#include <memory>
#include <string>

#include "core/compute/live_config.h"
#include "core/env/env.h"

namespace argon::compute {

// Runs the endpoint, by `config` and, whenever it is told to reload, what `read` gives (live_config.h), until
// the task is cancelled, or it has been idle for config.suspend_after (then the server is stopped in order:
// ok), or it cannot go on. Errors: Stale (another endpoint writes to the timeline), what kept the server from
// starting.
Status run_compute(Task& task, Env& env, const ComputeConfig& config, const ReadConfig& read);

}  // namespace argon::compute
