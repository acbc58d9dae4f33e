// postgres-sql: stock PostgreSQL servers are the computes of a timeline and its branches, and run generated
// SQL while everything loses power, the servers too.
//
// Claim: nothing tells them from servers on plain files. After the same committed statements a reference
// server has the same rows, catalogs and sequences, whatever indexes are asked; a branch has what its parent
// had at the branch point, and goes its own way; every page is right (amcheck); nothing acknowledged is lost,
// and a compute that was cut off acknowledges nothing.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kPostgresSql;

}  // namespace argon::scenarios
