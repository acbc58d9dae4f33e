// Scenario "ledger". Claim: a numbered row whose commit was acknowledged is there exactly once, with what was
// written, at every LSN from its commit on; no row is there that was not sent, nor one whose transaction was
// aborted. A branch has those of its parent up to the branch point, and its own.
//
// Clients that do not know how an attempt ended send the row again, so that a row may be written by several
// attempts. What is there is read from pages of the pageserver, at last from those that it has made out of
// safekeepers and object store alone.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kLedger;

}  // namespace argon::scenarios
