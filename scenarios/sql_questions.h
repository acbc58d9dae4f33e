// Questions that show everything there is in a database of generated SQL. Each has one row with one column,
// the same on every server that ran the same committed statements.

#pragma once

#include <string>
#include <vector>

#include "core/base/random.h"
#include "scenarios/sql_state.h"

namespace argon::scenarios {

// Rows of all tables, and what the catalogs say of them.
std::vector<std::string> ask_everything(const SqlState& state);
// Of each index, what it can be asked. Whether it is used is up to the server's settings.
std::vector<std::string> ask_indexes(const SqlState& state, Random& random);
// amcheck on all indexes and tables: must be "" or 0. `whole`: catalogs and structures over pages too.
std::vector<std::string> ask_amcheck(bool whole);
// Where a sequence is: what it gave last, and whether it gave that.
std::string ask_sequence(const std::string& name);

}  // namespace argon::scenarios
