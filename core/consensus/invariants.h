// What must hold of an acceptor and a proposer at any moment, and from one step to the next.
//
// Run after every step by tests, by the model explorer and by the simulator. Each returns an
// empty string, or the first claim that does not hold. check_step takes the same machine before
// and after one input (not across a crash, where unsynced WAL may go).

#pragma once

#include <string>

#include "core/consensus/acceptor.h"
#include "core/consensus/proposer.h"

namespace argon::consensus {

std::string check_state(const Acceptor& acceptor);
std::string check_step(const Acceptor& before, const Acceptor& after);
std::string check_state(const Proposer& proposer);
std::string check_step(const Proposer& before, const Proposer& after);

// Across a crash and restart: what was persisted or acknowledged is still there.
std::string check_restart(const AcceptorState& persisted, Lsn acknowledged_flush, const Acceptor& after);

}  // namespace argon::consensus
