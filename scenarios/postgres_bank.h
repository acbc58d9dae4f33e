// postgres-bank: a stock PostgreSQL server is the compute. One client moves money between accounts, in plain
// SQL, while everything loses power, the server too.
//
// Claim: whatever SQL shows is right. Every acknowledged transfer is there, no rolled back one is; what was
// cut off in the middle is there whole or not at all, and stays as it was first seen; each account has what
// its transfers say; indexes agree with their tables (amcheck); the server neither crashes nor complains of
// what it reads.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kPostgresBank;

}  // namespace argon::scenarios
