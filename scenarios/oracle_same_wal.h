// Oracle 2 at the end: a majority of safekeepers has the same bytes up to the last acknowledged commit.
//
// Looks at segment files on the disks, from outside. A segment that is not on a disk is read from the object
// store, where it must be then.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

void check_same_wal(Cluster& cluster);

}  // namespace argon::scenarios
