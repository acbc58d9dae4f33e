// Claim: a pageserver may lose its disk at any moment, again and again: safekeepers and object store suffice
// to read everything that was acknowledged, on every branch, while computes go on.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kPageserverLoss;

}  // namespace argon::scenarios
