// selftest-*: scenarios that do on purpose what must never happen. No part of `explore all`.
//
// selftest-leak, selftest-address and selftest-garbage are not deterministic (a real clock, which needs a run
// without sandbox; an address; uninitialised memory decides): `check-determinism` and `explore --twice` must
// say so. selftest-forbidden asks the operating
// system for what a simulated world must not know, another thing with each seed from 1 on, and nothing beyond
// the last: the sandbox must end each run. selftest-crash crashes, each time at the same place.
// selftest-memory takes ever more memory, and must be ended before it has 256 MB. selftest-counter is the
// guide's, in sim/README.md, and fails. selftest-rare-two and -three fail after two and three rare events in
// a row; selftest-apart after an early and a late operation. (selftest-careless is in durable_log.h.)

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kSelftestLeak;
extern const Scenario kSelftestAddress;
extern const Scenario kSelftestGarbage;
extern const Scenario kSelftestForbidden;
extern const Scenario kSelftestCrash;
extern const Scenario kSelftestMemory;
extern const Scenario kSelftestCounter;
extern const Scenario kSelftestApart;
extern const Scenario kSelftestRareTwo;
extern const Scenario kSelftestRareThree;

}  // namespace argon::scenarios
