// Oracle 6, at any moment: the object store holds what it is said to hold, and with the safekeepers' disks
// all that is needed to rebuild what was acknowledged.
//
// - The newest index of a timeline reaches what the pageserver told safekeepers (Env::durable_claim), and
//   every layer it names is there, as long as it says.
// - The segments a safekeeper counts as backed up (its control file) are there, whole.
// - What an evicted timeline has there instead of segments on its safekeeper's disk (its control file) is
//   there, as long as that says, and the same bytes.
// - From where the newest index ends to the last acknowledged commit, each segment is in the object store or
// on
//   a safekeeper's disk.
//
// Reads buckets and disks directly: no suspension, no event.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

// Checks now, at each claim, and every so often, for as long as the run goes on. `cluster` outlives the run.
void watch_remote(Cluster& cluster);

}  // namespace argon::scenarios
