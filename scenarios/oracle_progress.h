// Oracle 9: after healing, progress. Every line's computes commit again within a bounded virtual time.

#pragma once

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

void check_progress(Cluster& cluster, Duration limit);

}  // namespace argon::scenarios
