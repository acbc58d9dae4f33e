// durable-log: one careful log server and two clients.
//
// Claim: a record that the server acknowledged is in the log for ever, once and in the order of
// acknowledgement, whatever happens to machines, disk and network; and after healing the log grows.
// It is the smallest scenario that touches everything: it keeps the simulator itself honest.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kDurableLog;
// The same with a server that acknowledges what it has not synced: fails, on purpose. What `shrink`, `why`
// and `trace` are tried on.
extern const Scenario kSelftestCareless;

}  // namespace argon::scenarios
