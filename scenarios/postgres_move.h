// postgres-move: the tenant of a stock PostgreSQL server moves between two pageservers (tenant_mover.h) while
// a client moves money between accounts (sql_bank.h) and everything fails. The server is told of the new
// pageserver while it runs, as `argon endpoint reconfigure` tells one: a setting and SIGHUP.
//
// Claim: the server goes on with the new pageserver, without a restart and whatever it had asked the former
// one for; whatever SQL shows is right; a move is as TenantMover claims.

#pragma once

#include "scenarios/scenario.h"

namespace argon::scenarios {

extern const Scenario kPostgresMove;

}  // namespace argon::scenarios
