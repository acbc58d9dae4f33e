// A safekeeper whose disk is full refuses WAL, and nothing else: asked again and again while faults are on,
// it says so itself, its timeline is never stopped for want of space, and while it refuses WAL it gives
// readers what it says is committed.
//
// What the network, a crash or another fault does to the question is no answer and counts as nothing.

#pragma once

#include "scenarios/scenario.h"
#include "scenarios/wal_service_parts.h"

namespace argon::scenarios {

// Until the task ends.
Status watch_full_disks(Task& task, Run& run, const WalCluster& cluster);

}  // namespace argon::scenarios
