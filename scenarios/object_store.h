// Claim: an object store that takes seconds for everything, so that callers give up and do not know what
// became of their requests, delays only: nothing acknowledged is lost, and no page is wrong.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kObjectStore;

}  // namespace argon::scenarios
