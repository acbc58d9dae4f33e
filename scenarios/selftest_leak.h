// selftest-leak: a scenario that reads a real clock on purpose.
//
// Claim: none. `argon-sim check-determinism selftest-leak` must find the leak; if it does not, the
// check of determinism is broken.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kSelftestLeak;

}  // namespace argon::scenarios
