// Claim: a safekeeper that comes back with an empty disk costs nothing that was acknowledged, if the other
// two had all that it had. It fills up again and counts in later quorums.
//
// An acceptor without memory may break any promise, so the operator first switches it off, and then compares
// what is on the three disks. Changing the members instead, which needs no such comparison, is not built yet.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kSafekeeperLoss;

}  // namespace argon::scenarios
