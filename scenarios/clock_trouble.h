// Claim: no decision depends on what a wall clock says. Clocks that are wrong, differ, and jump by years,
// both ways, change nothing but times in logs and records.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kClockTrouble;

}  // namespace argon::scenarios
