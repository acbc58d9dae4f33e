// Scenario: one careful compute on the WAL service, which reads back from every safekeeper what was
// acknowledged.
//
// Beside `elections`: records of up to 30 KB, many under way at once, all safekeepers (not only a quorum)
// caught up, and read by PostgreSQL's own protocol. The workload itself takes the power from each safekeeper
// while it writes, so that no seed goes without.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern constinit const Scenario kWalService;

}  // namespace argon::scenarios
