// cluster: everything at once. Three safekeepers, a broker, a pageserver, an object store, and one to three
// model computes that write real PostgreSQL WAL and read their pages back, on a timeline and its branches.
//
// Claim (oracles 1 to 4, 6, 9 of DESIGN §4): an acknowledged commit is never lost nor re-ordered; committed
// WAL is the same everywhere; every page read at an LSN is what the reference model says; a branch reads as
// its parent did at the branch point; safekeepers and object store alone rebuild everything; after healing
// there is progress.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kCluster;

}  // namespace argon::scenarios
