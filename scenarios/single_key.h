// Scenario "single-key". Claim: each row of a line is a linearizable register, for clients that read and
// write it through the line's compute and for clients that read the pageserver at the last LSN known to be
// durable: the last acknowledged commit, or where the latest compute was elected. So is the row of a branch,
// which begins with its parent's value at the branch point.
//
// A compute that dies takes its clients' answers with it: such an operation may have taken effect or not.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kSingleKey;

}  // namespace argon::scenarios
