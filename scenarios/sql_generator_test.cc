// The generator of SQL: the same seed gives the same statements; what it names is there; what is rolled back
// leaves nothing.

#include "scenarios/sql_generator.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace argon::scenarios {
namespace {

constexpr int kUnits = 400;

std::string text_of(const SqlUnit& unit) {
  std::string text =
      std::string(unit.maintenance ? "m" : "") + (unit.keep ? "k" : "") + (unit.two_phase ? "2" : "");
  for (const SqlStatement& one : unit.statements) text += "\n" + one.text + (one.shows ? " !" : "");
  return text;
}

// Calls `look` with each unit of a seed and the state before it.
template <typename Look>
void each_unit(uint64_t seed, Look look) {
  Random random(seed);
  SqlState state;
  for (int i = 0; i < kUnits; i++) {
    SqlUnit unit = draw_unit(random, state);
    look(state, unit);
    if (unit.keep) state = unit.after;
  }
}

std::set<std::string> names_in(const std::string& text) {
  static const std::regex kName("\\b(t|i|q|cur|tmp|s)([0-9]+)\\b");
  std::set<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), kName), end; at != end; ++at)
    names.insert(at->str());
  return names;
}

std::set<std::string> names_of(const SqlState& state) {
  std::set<std::string> names;
  for (const auto& [name, table] : state.tables) {
    names.insert(name);
    for (const SqlIndex& index : table.indexes) names.insert(index.name);
  }
  for (const auto& [name, increment] : state.sequences) names.insert(name);
  return names;
}

TEST(SqlGenerator, same_seed_same_statements) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    std::string first, second;
    each_unit(seed, [&](const SqlState&, const SqlUnit& unit) { first += text_of(unit) + "\n"; });
    each_unit(seed, [&](const SqlState&, const SqlUnit& unit) { second += text_of(unit) + "\n"; });
    EXPECT_EQ(first, second) << "seed " << seed;
  }
}

TEST(SqlGenerator, statements_are_lines) {
  each_unit(1, [&](const SqlState&, const SqlUnit& unit) {
    ASSERT_FALSE(unit.statements.empty());
    for (const SqlStatement& one : unit.statements) {
      EXPECT_EQ(one.text.find('\n'), std::string::npos) << one.text;
      EXPECT_FALSE(one.text.ends_with('\\')) << one.text;
    }
  });
}

// A name is of what is there, or is made by the statement (whose names have then never been given out).
TEST(SqlGenerator, names_are_there_or_new) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    each_unit(seed, [&](const SqlState& state, const SqlUnit& unit) {
      std::set<std::string> known = names_of(state);
      for (const SqlStatement& one : unit.statements) {
        bool makes = one.text.find("create ") == 0 || one.text.find(" rename to ") != std::string::npos ||
                     one.text.find("declare ") == 0 || one.text.find("savepoint ") == 0;
        for (const std::string& name : names_in(one.text)) {
          if (makes) known.insert(name);
          EXPECT_TRUE(known.contains(name)) << "seed " << seed << ": " << name << " in: " << one.text;
        }
      }
      for (const std::string& name : names_of(unit.after)) EXPECT_TRUE(known.contains(name)) << name;
    });
  }
}

TEST(SqlGenerator, indexes_are_of_columns_that_are_there) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    each_unit(seed, [&](const SqlState&, const SqlUnit& unit) {
      for (const auto& [name, table] : unit.after.tables) {
        EXPECT_LE(table.first_id, table.next_id);
        for (const SqlIndex& index : table.indexes)
          for (const std::string& column : index.columns) EXPECT_NE(table.find(column), nullptr) << column;
      }
    });
  }
}

// What a prepared transaction cannot have done.
TEST(SqlGenerator, prepared_is_neither_temporary_nor_unlogged) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    each_unit(seed, [&](const SqlState& state, const SqlUnit& unit) {
      if (!unit.two_phase) return;
      for (const SqlStatement& one : unit.statements) {
        EXPECT_EQ(one.text.find("temporary"), std::string::npos) << one.text;
        EXPECT_EQ(one.text.find("unlogged"), std::string::npos) << one.text;
        for (const std::string& name : names_in(one.text)) {
          auto table = state.tables.find(name);
          EXPECT_FALSE(table != state.tables.end() && table->second.unlogged) << one.text;
        }
      }
    });
  }
}

// Everything that it can make comes up.
TEST(SqlGenerator, draws_everything) {
  std::string all;
  for (uint64_t seed = 1; seed <= 20; seed++)
    each_unit(seed, [&](const SqlState&, const SqlUnit& unit) { all += text_of(unit) + "\n"; });
  for (const char* wanted :
       {"using btree",     "using hash",     "using gin",     "using gist",      "using spgist",
        "using brin",      "unique index",   "copy ",         "on conflict",     "for update",
        "savepoint s",     "rollback to",    "do $do$",       "declare ",        "fetch ",
        "truncate ",       "reindex table",  "reindex index", "cluster ",        "vacuum (full)",
        "vacuum (freeze)", "checkpoint",     "alter table",   "drop table",      "drop index",
        "rename to",       "type bigint",    "set unlogged",  "set logged",      "create sequence",
        "drop sequence",   "alter sequence", "nextval",       "temporary table", "create table t"})
    EXPECT_NE(all.find(wanted), std::string::npos) << wanted;
}

}  // namespace
}  // namespace argon::scenarios
