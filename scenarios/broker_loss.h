// Claim: the broker only tells parts of each other. While it is away, for as long as that is, commits and
// page reads of what is connected go on; it needs nothing that it had when it comes back.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kBrokerLoss;

}  // namespace argon::scenarios
