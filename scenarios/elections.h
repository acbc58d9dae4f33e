// elections: three safekeepers, a broker, and two proposers that take the timeline from each other.
//
// Claim (oracles 1, 2 and 9): WAL that a proposer reported as committed is in the history of every later
// proposer and the same bytes on every safekeeper; a term is won once; after healing a proposer is
// elected and commits.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kElections;

}  // namespace argon::scenarios
