// Oracles 3 and 4 at the end: every page of every line at its last acknowledged commit, and every branch at
// its branch point as its parent was there.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

// Computes may go on meanwhile; the commits looked at are those acknowledged before.
void check_all_pages(Cluster& cluster, const std::string& when);

}  // namespace argon::scenarios
