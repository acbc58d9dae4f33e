// Oracle 6: safekeepers and object store alone suffice to rebuild everything acknowledged.
//
// The pageserver loses its disk, starts on an empty one, and every page is checked again.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

void check_rebuild(Cluster& cluster);

}  // namespace argon::scenarios
