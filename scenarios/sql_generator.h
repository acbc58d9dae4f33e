// A generator of SQL: transactions and maintenance, drawn, each valid in the state that it is made for.
//
// Pure: the same random numbers and state give the same statements. What a committed unit leaves behind, and
// what it shows, is the same on every server that ran the same committed units before, whatever its plans,
// its clock and its crashes were; but for the values of sequences, which may have gaps.

#pragma once

#include <string>
#include <vector>

#include "core/base/random.h"
#include "scenarios/sql_state.h"

namespace argon::scenarios {

struct SqlStatement {
  std::string text;    // one line
  bool shows = false;  // has rows, which are the same wherever it runs
};

struct SqlUnit {
  // Of a transaction, without its begin and end; maintenance is one that cannot be in a transaction, and
  // changes nothing that can be seen.
  std::vector<SqlStatement> statements;
  bool maintenance = false;
  bool keep = true;        // otherwise it is rolled back
  bool two_phase = false;  // prepared first
  SqlState after;          // once it has committed
  uint64_t nextvals = 0;   // at most so often it asks one sequence, whatever becomes of it
};

SqlUnit draw_unit(Random& random, const SqlState& state);

// What a table's rows are, as one row; the same where they are the same.
std::string rows_of(const std::string& table);

}  // namespace argon::scenarios
