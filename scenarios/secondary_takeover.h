// Claim: a tenant moves between two pageservers, again and again, in Neon's order, by an operator who gives
// up anywhere and takes over by force, while everything fails: commits and page reads go on, a start of a
// pageserver comes back as it was told, nothing that the former pageserver may read is removed before
// computes have moved, and a warm copy is used as it is.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kSecondaryTakeover;

}  // namespace argon::scenarios
