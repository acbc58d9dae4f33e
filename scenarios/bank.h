// Scenario "bank". Claim: at any LSN, on a line and on each of its branches, all transfers that had committed
// by then are seen whole and all others not at all: the money of all accounts together is always the same,
// and a branch begins with the balances that its parent has at the branch point.
//
// Accounts are rows on several pages, transfers are transactions over two or more of them, some of which
// abort. Computes on the branches go on transferring, independent of each other. What is seen is read from
// the pageserver: pages, and transaction states, at the same LSN.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kBank;

}  // namespace argon::scenarios
