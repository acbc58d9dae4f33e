// Claim: making and looking up branches is linearizable: what clients of the management API see, however it
// fails in between, could have happened one after another. A branch that was made is never denied later.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kControlApi;

}  // namespace argon::scenarios
