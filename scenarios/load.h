// Two ends of what a cluster may have to do, without faults: computes that do nothing, and computes that
// never pause. bench/run takes its figures from them; they are no part of `explore all`.
//
// idle, claim: a cluster that nobody uses goes on for any time: its compute stays elected, nothing restarts,
// and in the end it still commits nothing and reads well. saturation, claim: computes that write and read
// without pause lose nothing, and every page is right.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kIdle;
extern const Scenario kSaturation;

}  // namespace argon::scenarios
