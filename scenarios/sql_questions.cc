#include "scenarios/sql_questions.h"

#include <fmt/format.h>

#include "scenarios/sql_generator.h"
#include "scenarios/sql_values.h"

namespace argon::scenarios {
namespace {

constexpr const char* kCatalogs[] = {
    "select md5(string_agg(relname || ' ' || relkind::text || relpersistence::text || relnatts || "
    "coalesce(reloptions::text, ''), "
    "',' order by relname)) from pg_class where relnamespace = 'public'::regnamespace",
    "select md5(string_agg(relname || ' ' || attname || format_type(atttypid, atttypmod) || attnotnull || "
    "atthasdef || "
    "attisdropped, ',' order by relname, attnum)) from pg_attribute join pg_class c on c.oid = attrelid "
    "where attnum > 0 and relnamespace = 'public'::regnamespace",
    "select md5(string_agg(pg_get_indexdef(indexrelid) || indisvalid || indisready || indisclustered, ',' "
    "order by "
    "relname)) from pg_index join pg_class c on c.oid = indexrelid where relnamespace = "
    "'public'::regnamespace",
    "select md5(string_agg(conrelid::regclass::text || pg_get_constraintdef(oid), ',' order by "
    "conrelid::regclass::text)) "
    "from pg_constraint where connamespace = 'public'::regnamespace",
    "select string_agg(seqrelid::regclass::text || ' ' || seqincrement || ' ' || seqstart, ',' order by "
    "seqrelid::regclass::text) from pg_sequence",
    "select md5(string_agg(adrelid::regclass::text || pg_get_expr(adbin, adrelid), ',' order by "
    "adrelid::regclass::text, "
    "adnum)) from pg_attrdef",
};

constexpr const char* kHeaps =
    "select coalesce(string_agg(c.oid::regclass::text || ': ' || v.msg, '; '), '') from pg_class c, lateral "
    "verify_heapam(c.oid) v where c.relkind in ('r', 't', 'm') and {}";
constexpr const char* kIndexes =
    "select count({}) from pg_class c join pg_index i on i.indexrelid = c.oid join pg_am a on a.oid = "
    "c.relam "
    "where a.amname = 'btree' and c.relkind = 'i' and i.indisvalid and {}";
// With TOAST, catalogs' too.
constexpr const char* kOfUsers = "c.relnamespace in ('public'::regnamespace, 'pg_toast'::regnamespace)";

}  // namespace

std::vector<std::string> ask_everything(const SqlState& state) {
  std::vector<std::string> all(std::begin(kCatalogs), std::end(kCatalogs));
  for (const auto& [name, table] : state.tables) all.push_back(rows_of(name));
  return all;
}

std::vector<std::string> ask_indexes(const SqlState& state, Random& random) {
  std::vector<std::string> all;
  for (const auto& [name, table] : state.tables)
    for (const SqlIndex& index : table.indexes)
      all.push_back(
          fmt::format("select count(*) || ' ' || coalesce(md5(string_agg(id::text, ',' order by id)), '') "
                      "from {} where {}",
                      name, index_condition(*table.find(index.columns.front()), index.method, random)));
  return all;
}

std::vector<std::string> ask_amcheck(bool whole) {
  const char* which = whole ? "true" : kOfUsers;
  return {
      fmt::format(fmt::runtime(kIndexes),
                  whole ? "bt_index_parent_check(c.oid, true, true)" : "bt_index_check(c.oid, true)", which),
      fmt::format(fmt::runtime(kHeaps), which)};
}

std::string ask_sequence(const std::string& name) {
  return fmt::format("select last_value || ' ' || is_called::int from {}", name);
}

}  // namespace argon::scenarios
