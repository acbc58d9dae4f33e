// Oracles 3 and 4 at the end: every page of every line at its last acknowledged commit, and every branch at
// its branch point as its parent was there.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

// REQUIRES: computes are stopped, so that the ends do not move.
void check_all_pages(Cluster& cluster, const std::string& when);

}  // namespace argon::scenarios
