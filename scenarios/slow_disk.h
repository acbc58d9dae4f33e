// Claim: disks that take a thousand times as long, are full for a while, or stop with their nodes, cost time
// only: a quorum of safekeepers that is well goes on, and one that is not holds nobody up for ever.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kSlowDisk;

}  // namespace argon::scenarios
