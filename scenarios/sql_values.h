// Types of generated SQL: what they are called, values of them, indexes on them, and what such an index is
// asked.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "scenarios/sql_state.h"

namespace argon::scenarios {

std::string sql_name(SqlType type);
// A value of the type as a function of `i`, an expression with an int that is not negative: few different
// ones, so that indexes have equal keys.
std::string sql_value(SqlType type, std::string_view i);
// Methods of indexes that the type may have.
std::vector<std::string> index_methods(SqlType type);
// As CREATE INDEX has it: with an operator class where there is no default.
std::string index_column(const SqlColumn& column, const std::string& method);
// A condition on the column that the index can answer.
std::string index_condition(const SqlColumn& column, const std::string& method, Random& random);

}  // namespace argon::scenarios
