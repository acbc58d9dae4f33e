// Oracle 9: progress within a bounded virtual time. Every line with computes commits again and its pages
// are read again; those that no compute writes to are read by the final checks.
//
// Asked twice: while only a core is healed and the rest is out of order for good, then with all healed.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

// `which` completes "progress ...", the oracle's name.
void check_progress(Cluster& cluster, const std::string& which, Duration limit);

}  // namespace argon::scenarios
