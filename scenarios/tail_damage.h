// Damage to objects that evicted WAL relies on, in the scenario `wal-service`: one that is the only copy a
// safekeeper knows of its last segment is changed, cut or lost, as long as another object has the same bytes.
// The safekeeper must have it back from there: what all are held to at the end says whether.

#pragma once

#include "scenarios/scenario.h"
#include "scenarios/wal_service_parts.h"

namespace argon::scenarios {

// Until the task ends, or the faults do.
Status damage_tails(Task& task, Run& run, WalCluster& cluster);

}  // namespace argon::scenarios
