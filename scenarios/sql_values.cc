#include "scenarios/sql_values.h"

#include <fmt/format.h>

#include "core/base/check.h"

namespace argon::scenarios {
namespace {

// `text` with "$" replaced.
std::string filled(std::string_view text, std::string_view i) {
  std::string out;
  for (char c : text) {
    if (c == '$')
      out += i;
    else
      out += c;
  }
  return out;
}

bool is_inverted(const std::string& method) {
  return method == "gin";
}

}  // namespace

std::string sql_name(SqlType type) {
  switch (type) {
    case SqlType::Int:
      return "int";
    case SqlType::BigInt:
      return "bigint";
    case SqlType::Text:
    case SqlType::LongText:
      return "text";
    case SqlType::Numeric:
      return "numeric";
    case SqlType::Date:
      return "date";
    case SqlType::Inet:
      return "inet";
    case SqlType::Range:
      return "int4range";
    case SqlType::Point:
      return "point";
    case SqlType::IntArray:
      return "int[]";
    case SqlType::Jsonb:
      return "jsonb";
    case SqlType::Words:
      return "tsvector";
  }
  CHECK(false, "no such type");
}

std::string sql_value(SqlType type, std::string_view i) {
  switch (type) {
    case SqlType::Int:
      return filled("(($) % 97)", i);
    case SqlType::BigInt:
      return filled("(($)::bigint * 4294967311 % 1000003)", i);
    case SqlType::Text:
      return filled("repeat(md5((($) % 211)::text), 1 + ($) % 3)", i);
    case SqlType::LongText:
      return filled(
          "(select string_agg(md5((($) % 300 + g)::text), '') from generate_series(1, 1 + ($) * 7 % 90) g)",
          i);
    case SqlType::Numeric:
      return filled("((($)::bigint * 7919 % 10007) / 100.0)", i);
    case SqlType::Date:
      return filled("(date '2020-01-01' + ($) % 400)", i);
    case SqlType::Inet:
      return filled("('10.0.' || ($) % 50 || '.' || ($) % 9)::inet", i);
    case SqlType::Range:
      return filled("int4range(($) % 100, ($) % 100 + 1 + ($) % 9)", i);
    case SqlType::Point:
      return filled("point(($) % 50, ($) % 31)", i);
    case SqlType::IntArray:
      return filled("array[($) % 10, ($) % 7, 3 + ($) % 40]", i);
    case SqlType::Jsonb:
      return filled("jsonb_build_object('a', ($) % 10, 'b', jsonb_build_array(($) % 3, ($) % 23))", i);
    case SqlType::Words:
      return filled("('w' || ($) % 20 || ' v' || ($) % 7 || ' u' || ($) % 50)::tsvector", i);
  }
  CHECK(false, "no such type");
}

std::vector<std::string> index_methods(SqlType type) {
  switch (type) {
    case SqlType::Int:
    case SqlType::BigInt:
    case SqlType::Numeric:
    case SqlType::Date:
      return {"btree", "hash", "brin"};
    case SqlType::Text:
      return {"btree", "hash", "brin", "spgist"};
    case SqlType::LongText:
      return {"hash", "spgist"};
    case SqlType::Inet:
      return {"btree", "hash", "brin", "gist", "spgist"};
    case SqlType::Range:
      return {"btree", "gist", "spgist"};
    case SqlType::Point:
      return {"gist", "spgist"};
    case SqlType::IntArray:
      return {"btree", "gin"};
    case SqlType::Jsonb:
      return {"gin"};
    case SqlType::Words:
      return {"gin", "gist"};
  }
  CHECK(false, "no such type");
}

std::string index_column(const SqlColumn& column, const std::string& method) {
  if (column.type == SqlType::Inet && method == "gist") return column.name + " inet_ops";
  return column.name;
}

std::string index_condition(const SqlColumn& column, const std::string& method, Random& random) {
  uint64_t i = random.below(2000);
  std::string value = sql_value(column.type, std::to_string(i));
  bool ordered = method == "btree" || method == "hash" || method == "brin";
  switch (column.type) {
    case SqlType::Range:
      if (!ordered) return fmt::format("{} && int4range({}, {})", column.name, i % 100, i % 100 + 11);
      break;
    case SqlType::Point:
      return fmt::format("{} <@ box(point({}, {}), point({}, {}))", column.name, i % 50, i % 31, i % 50 + 9,
                         i % 31 + 9);
    case SqlType::IntArray:
      if (is_inverted(method)) return fmt::format("{} @> array[{}]", column.name, i % 40);
      break;
    case SqlType::Jsonb:
      return fmt::format("{} @> '{{\"a\": {}}}'", column.name, i % 10);
    case SqlType::Words:
      return fmt::format("{} @@ 'w{} & v{}'::tsquery", column.name, i % 20, i % 7);
    case SqlType::Inet:
      if (!ordered) return fmt::format("{} <<= '10.0.{}.0/24'::inet", column.name, i % 50);
      break;
    default:
      break;
  }
  bool wide = (method == "btree" || method == "brin") && random.below(2) == 0;
  return fmt::format("{} {} {}", column.name, wide ? "<" : "=", value);
}

}  // namespace argon::scenarios
