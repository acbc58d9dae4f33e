// Claim: however many computes believe that a timeline is theirs, one at a time writes to it. One that slept
// while another took over acknowledges nothing when it wakes, and reads nothing wrong that counts.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kTwoComputes;

}  // namespace argon::scenarios
