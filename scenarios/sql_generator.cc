#include "scenarios/sql_generator.h"

#include <fmt/format.h>

#include <algorithm>

#include "scenarios/sql_ddl.h"
#include "scenarios/sql_dml.h"

namespace argon::scenarios {
namespace {

constexpr uint64_t kStatementsMax = 6;

// What runs outside of transactions.
SqlUnit draw_maintenance(Random& random, const SqlState& state) {
  static constexpr const char* kOfTable[] = {
      "vacuum {}",  "vacuum {}",           "vacuum (freeze) {}",          "vacuum (full) {}",
      "analyze {}", "vacuum (analyze) {}", "vacuum (index_cleanup on) {}"};
  SqlUnit unit;
  unit.maintenance = true;
  unit.after = state;
  std::string text = random.below(4) == 0 ? "checkpoint" : kOfTable[random.below(std::size(kOfTable))];
  auto table = std::next(state.tables.begin(), static_cast<ptrdiff_t>(random.below(state.tables.size())));
  unit.statements.push_back({fmt::format(fmt::runtime(text), table->first)});
  return unit;
}

void draw_statement(SqlDraft& draft) {
  if (draft.state.tables.empty())
    draw_create_table(draft);
  else if (draft.random.below(5) == 0)
    draw_ddl(draft);
  else
    draw_dml(draft);
}

void draw_statements(SqlDraft& draft, uint64_t count);

// A part of the transaction that may come to nothing by itself.
void draw_subtransaction(SqlDraft& draft, uint64_t count) {
  std::string name = "s" + std::to_string(draft.savepoints++);
  SqlState before = draft.state;
  draft.add("savepoint " + name);
  draw_statements(draft, count);
  if (draft.random.below(2) == 0) {
    draft.add("release savepoint " + name);
    return;
  }
  // Names are not given out again.
  before.next_name = draft.state.next_name;
  draft.state = before;
  draft.add("rollback to savepoint " + name);
}

void draw_statements(SqlDraft& draft, uint64_t count) {
  for (uint64_t left = count; left > 0 && draft.statements.size() < 3 * kStatementsMax;) {
    bool nested = draft.savepoints < 4 && draft.random.below(6) == 0;
    uint64_t some = nested ? draft.random.between(1, left) : 1;
    if (nested)
      draw_subtransaction(draft, some);
    else
      draw_statement(draft);
    left -= some;
  }
}

}  // namespace

std::string rows_of(const std::string& table) {
  return fmt::format(
      "select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by id)), '') from {} t", table);
}

SqlUnit draw_unit(Random& random, const SqlState& state) {
  if (!state.tables.empty() && random.below(8) == 0) return draw_maintenance(random, state);
  SqlUnit unit;
  unit.keep = random.below(6) != 0;
  unit.two_phase = random.below(12) == 0;
  SqlDraft draft{random, state, unit.two_phase, {}, 0, 0};
  draw_statements(draft, random.between(1, kStatementsMax));
  unit.statements = std::move(draft.statements);
  unit.nextvals = draft.nextvals;
  unit.after = std::move(draft.state);
  return unit;
}

}  // namespace argon::scenarios
