// Readers of interpreted WAL (core/pg/interpret) in the scenario `wal-service`: some near its end, some far
// behind, from whichever safekeeper, for one shard of several or for all; and the oracle that holds what they
// get to what was written: every record that was committed, once and whole, in its place.
//
// An error is no answer and counts as nothing; what comes with the right checksum counts.

#pragma once

#include "scenarios/scenario.h"
#include "scenarios/wal_service_parts.h"

namespace argon::scenarios {

// Until the task ends. Readers of other numbers draw otherwise.
Status read_interpreted(Task& task, Run& run, WalCluster& cluster, int number);
// Whether a safekeeper gives all that was acknowledged. Corrupt, or why it cannot be read.
Status check_interpreted(Task& task, WalCluster& cluster, const std::string& safekeeper);

}  // namespace argon::scenarios
