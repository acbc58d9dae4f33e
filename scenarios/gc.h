// Claim: whatever garbage collection removes, and whoever branches, reads, leases, restarts or takes the
// tenant over meanwhile: what is in the PITR window, at a branch point or under a lease can be read, and is
// what it was there; what is refused is below the cutoff.
//
// Layers and PITR windows are small, and rounds are often asked for as well. In some runs a second pageserver
// takes the tenant over now and then, and the first goes on with a stale generation until it loses power.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kGc;

}  // namespace argon::scenarios
