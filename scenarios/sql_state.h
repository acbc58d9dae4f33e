// SqlState: what a database of generated SQL has, as far as the next statement must know it to be valid.
//
// A plain value: a transaction that is rolled back is the copy from before it. Rows are not in it: all that
// is known of them is which ids were ever given out.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace argon::scenarios {

enum class SqlType : uint8_t {
  Int,
  BigInt,
  Text,
  LongText,  // up to several pages, out of line
  Numeric,
  Date,
  Inet,
  Range,
  Point,
  IntArray,
  Jsonb,
  Words,  // tsvector
};
inline constexpr size_t kSqlTypes = 12;

struct SqlColumn {
  std::string name;
  SqlType type{};
  friend bool operator==(const SqlColumn&, const SqlColumn&) = default;
};

struct SqlIndex {
  std::string name;
  std::string method;
  std::vector<std::string> columns;
  friend bool operator==(const SqlIndex&, const SqlIndex&) = default;
};

// Each has a column "id int primary key" besides.
struct SqlTable {
  std::vector<SqlColumn> columns;
  std::vector<SqlIndex> indexes;
  uint64_t first_id = 1;  // below there are no rows
  uint64_t next_id = 1;   // from here on there are no rows
  bool unlogged = false;
  friend bool operator==(const SqlTable&, const SqlTable&) = default;

  const SqlColumn* find(const std::string& column) const {
    for (const SqlColumn& one : columns)
      if (one.name == column) return &one;
    return nullptr;
  }
};

struct SqlState {
  std::map<std::string, SqlTable> tables;
  std::map<std::string, uint64_t> sequences;  // their increment
  uint64_t next_name = 1;
  friend bool operator==(const SqlState&, const SqlState&) = default;
};

}  // namespace argon::scenarios
