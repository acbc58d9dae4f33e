// postgres-bank: a stock PostgreSQL server is the compute. One client moves money between accounts, in plain
// SQL, while everything loses power, the server too.
//
// Claim: whatever SQL shows is right (sql_bank.h), and the server does not crash.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kPostgresBank;

}  // namespace argon::scenarios
