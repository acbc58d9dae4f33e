// Oracle 2, by the safekeepers' own hash chains (core/safekeeper/wal_chain.h), at the end of a run: at the
// highest LSN that is committed on all of them, and at each LSN where two keep a link, all have the same
// hash.
//
// Computed from control files and segments, from outside. A safekeeper whose segment there was removed, or
// that does not know its chain, is left out.

#pragma once

#include "scenarios/cluster_parts.h"
#include "scenarios/oracle_safekeeper_disk.h"

namespace argon::scenarios {

// Of one timeline. Corrupt: two differ.
Status compare_chains(const std::vector<SafekeeperDisk>& disks);
void check_wal_chains(Cluster& cluster);

}  // namespace argon::scenarios
