#include "scenarios/sql_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "scenarios/sql_questions.h"

namespace argon::scenarios {
namespace {

constexpr const char* kOracle = "what SQL shows is right";
// How far the WAL of a sequence may run ahead of it (SEQ_LOG_VALS of commands/sequence.c), and the value
// itself.
constexpr uint64_t kGapOfAStart = 33;
constexpr const char* kOpening = "create table steps (id int primary key)";
constexpr const char* kCommitOfNothing = "select pg_logical_emit_message(true, '', '')";
constexpr Duration kPause = Duration::milliseconds(250);

std::string gid(uint64_t id) {
  return "unit" + std::to_string(id);
}

std::string marker(uint64_t id) {
  return fmt::format("insert into steps values ({})", id);
}

// What the reference has to run where the unit committed: its statements from the second on.
std::vector<SqlItem> items_of(const SqlUnit& unit, uint64_t id) {
  std::vector<SqlItem> items{{SqlItem::Kind::Run, "begin", {}}};
  for (const SqlStatement& one : unit.statements) items.push_back({SqlItem::Kind::Run, one.text, {}});
  items.push_back({SqlItem::Kind::Run, marker(id), {}});
  items.push_back({SqlItem::Kind::Run, "commit", {}});
  return items;
}

Result<std::set<uint64_t>> parse_ids(std::string_view list) {
  std::set<uint64_t> ids;
  while (!list.empty()) {
    size_t end = std::min(list.find(','), list.size());
    TRY_ASSIGN(uint64_t id, parse_u64(list.substr(0, end)));
    ids.insert(id);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return ids;
}

}  // namespace

SqlLine::SqlLine(Run& run, sim::Machine& for_reference, const Line& line, Ids ids)
    : run_(run), line_(line), ids_(std::move(ids)), reference_(run, for_reference, line.name, {}) {}

SqlLine::SqlLine(const SqlLine& parent, sim::Machine& for_reference, const Line& line)
    : run_(parent.run_),
      line_(line),
      ids_(parent.ids_),
      state_(parent.points_.at(line.branch_point).state),
      pending_(parent.points_.at(line.branch_point).pending),
      opened_(true),
      reference_(
          run_, for_reference, line.name,
          {parent.history_.begin(),
           parent.history_.begin() + static_cast<ptrdiff_t>(parent.points_.at(line.branch_point).items)}) {
  const Point& point = parent.points_.at(line.branch_point);
  committed_.assign(parent.committed_.begin(),
                    parent.committed_.begin() + static_cast<ptrdiff_t>(point.committed));
  history_.assign(parent.history_.begin(), parent.history_.begin() + static_cast<ptrdiff_t>(point.items));
  gap_ = point.gap;
}

void SqlLine::violated(const std::string& what) {
  run_.fail(kOracle, line_.name + ": " + what);
}

void SqlLine::add_item(SqlItem item) {
  if (item.kind != SqlItem::Kind::Ask) history_.push_back(item);
  reference_.add(std::move(item));
}

void SqlLine::note_point(Lsn at) {
  points_[at] = {state_, committed_.size(), history_.size(), gap_, pending_};
}

Result<std::string> SqlLine::one(Task& task, Life& life, std::string_view query) {
  TRY_ASSIGN(SqlRows rows, life.sql.run(task, query));
  if (rows.size() != 1 || rows[0].empty()) {
    if (!deposed(life)) violated(fmt::format("{}: {} rows", query, rows.size()));
    return Error(Code::Corrupt, "one row was expected");
  }
  return rows[0][0].value_or("");
}

// What is of the network is over, the session goes on.
Status SqlLine::tolerate(Task& task, Life& life, Status status) {
  if (!status.is(Code::Invalid)) return status;
  life.looked = false;
  life.blind = deposed(life);
  if (life.blind) return status;
  if (!is_of_the_network(status.error())) {
    violated(status.error().message());
    return status;
  }
  Status back = status_of(life.sql.run(task, "rollback"));
  return back.is(Code::Invalid) ? Status() : back;
}

Status SqlLine::serve(Task& task, SqlSession& sql) {
  Random& random = task.env().random("client");
  Life life{sql, nullptr};
  while (!run_.failed()) {
    Status done = !life.looked ? look(task, life) : act(task, life);
    TRY(tolerate(task, life, std::move(done)));
    TRY(task.sleep(random.exponential(kPause)));
  }
  return {};
}

Status SqlLine::act(Task& task, Life& life) {
  Random& random = task.env().random("client");
  if (whole_looks_wanted_ > 0) return look(task, life);
  if (!run_.may_operate()) return {};
  if (random.below(20) == 0) return look(task, life);
  return run_unit(task, life);
}

// ---- units

Status SqlLine::run_unit(Task& task, Life& life) {
  SqlUnit unit;
  if (!life.blind) unit = draw_unit(task.env().random("units"), *life.state);
  if (unit.maintenance) return run_maintenance(task, life, unit);
  // The reference does not run what came to nothing, and sequences do not go back.
  if (gap_ > 0 && !deposed(life)) TRY(look_at_sequences(task, life));
  uint64_t id = (*ids_)++;
  auto after = std::make_shared<const SqlState>(std::move(unit.after));
  // What a compute does that was cut off before cannot come to anything.
  if (deposed(life))
    gone_.insert(id);
  else
    pending_[id] = {items_of(unit, id), after, unit.nextvals, false, !unit.keep};
  TRY(run_statements(task, life, unit, id));
  if (unit.two_phase) {
    TRY(life.sql.commit(task, fmt::format("prepare transaction '{}'", gid(id))));
    if (auto found = pending_.find(id); found != pending_.end()) {
      found->second.prepared = true;
      note_point(life.sql.acknowledged());
    }
    TRY(finish(task, life, id, unit.keep));
  } else if (unit.keep) {
    TRY(life.sql.commit(task, "commit"));
    if (settle(life, id, true)) note_point(life.sql.acknowledged());
  } else {
    TRY(life.sql.run(task, "rollback"));
    settle(life, id, false);
  }
  if (unit.keep) life.state = after;
  return {};
}

Status SqlLine::run_maintenance(Task& task, Life& life, const SqlUnit& unit) {
  TRY(life.sql.run(task, unit.statements.front().text));
  if (!deposed(life)) add_item({SqlItem::Kind::Run, unit.statements.front().text, {}});
  return {};
}

// Each in a line of its own, or several in one.
Status SqlLine::run_statements(Task& task, Life& life, const SqlUnit& unit, uint64_t id) {
  bool apart = task.env().random("client").below(2) == 0;
  std::vector<std::string> line{"begin"};
  auto say = [&]() -> Result<SqlRows> {
    return life.sql.run(task, fmt::format("{}", fmt::join(std::exchange(line, {}), "; ")));
  };
  for (size_t i = 0; i < unit.statements.size(); i++) {
    const SqlStatement& one = unit.statements[i];
    if (!line.empty() && (one.shows || apart)) TRY(say());
    line.push_back(one.text);
    if (!one.shows) continue;
    TRY_ASSIGN(SqlRows rows, say());
    if (auto found = pending_.find(id); found != pending_.end())
      found->second.items[i + 1].rows = to_text(rows);
  }
  line.push_back(marker(id));
  TRY(say());
  return {};
}

// Of a prepared one.
Status SqlLine::finish(Task& task, Life& life, uint64_t id, bool keep) {
  if (auto found = pending_.find(id); found != pending_.end()) found->second.rolling_back |= !keep;
  TRY(life.sql.commit(task, fmt::format("{} prepared '{}'", keep ? "commit" : "rollback", gid(id))));
  if (settle(life, id, keep)) note_point(life.sql.acknowledged());
  return {};
}

// The unit's outcome was acknowledged. False where a later compute has looked already.
bool SqlLine::settle(const Life& life, uint64_t id, bool kept) {
  if (kept && gone_.contains(id))
    violated(fmt::format(
        "unit {} is acknowledged, in term {}, by a compute that was cut off: one of term {} did not "
        "see it",
        id, to_string(life.sql.term()), to_string(looked_)));
  auto found = pending_.find(id);
  if (found == pending_.end()) return false;
  if (kept) {
    commit(found);
    commits_++;
  } else {
    drop(found);
  }
  return true;
}

void SqlLine::commit(PendingUnits::iterator unit) {
  for (SqlItem& item : unit->second.items) add_item(std::move(item));
  committed_.push_back(unit->first);
  state_ = unit->second.after;
  pending_.erase(unit);
}

SqlLine::PendingUnits::iterator SqlLine::drop(PendingUnits::iterator unit) {
  gap_ += unit->second.nextvals;
  gone_.insert(unit->first);
  return pending_.erase(unit);
}

// ---- looks

Status SqlLine::look(Task& task, Life& life) {
  uint64_t whole = whole_looks_wanted_;
  TRY(open(task, life));
  if (opened_ && !life.blind) TRY(look_at_steps(task, life));
  life.blind = life.blind || life.state == nullptr;
  life.looked = life.blind;
  if (life.blind) return {};
  begin_life(life);
  TRY(look_at_sequences(task, life));
  TRY(look_at_data(task, life));
  TRY(look_at_indexes(task, life));
  TRY(check_structure(task, life, whole > 0));
  life.looked = true;
  run_.work().pages_checked++;
  if (whole == 0 || deposed(life)) return {};
  whole_looks_++;
  whole_looks_wanted_ -= whole;
  return {};
}

Status SqlLine::open(Task& task, Life& life) {
  TRY_ASSIGN(std::string there, one(task, life, "select count(*) from pg_class where relname = 'steps'"));
  if (deposed(life) || (opened_ && there == "1")) return {};
  if (opened_) {
    violated("the table of steps is gone");
    return {};
  }
  if (there == "0") TRY(life.sql.commit(task, kOpening));
  if (opened_ || deposed(life)) return {};
  opened_ = true;
  add_item({SqlItem::Kind::Run, kOpening, {}});
  if (there == "0") note_point(life.sql.acknowledged());
  return {};
}

// Fixes all that is open.
Status SqlLine::look_at_steps(Task& task, Life& life) {
  TRY_ASSIGN(std::string steps,
             one(task, life, "select coalesce(string_agg(id::text, ',' order by id), '') from steps"));
  TRY_ASSIGN(std::string gids,
             one(task, life, "select coalesce(string_agg(substr(gid, 5), ','), '') from pg_prepared_xacts"));
  TRY_ASSIGN(std::set<uint64_t> seen, parse_ids(steps));
  TRY_ASSIGN(std::set<uint64_t> prepared, parse_ids(gids));
  if (deposed(life)) {
    life.blind = life.blind || life.state == nullptr;
    return {};
  }
  looked_ = life.sql.term();
  judge_steps(seen, prepared);
  TRY(finish_prepared(task, life, prepared));
  life.blind = deposed(life);
  life.state = state_;
  return {};
}

void SqlLine::judge_steps(const std::set<uint64_t>& seen, const std::set<uint64_t>& prepared) {
  for (uint64_t id : committed_)
    if (!seen.contains(id)) violated(fmt::format("acknowledged unit {} is lost", id));
  std::set<uint64_t> known(committed_.begin(), committed_.end());
  for (uint64_t id : seen) {
    if (known.contains(id)) continue;
    auto found = pending_.find(id);
    if (found == pending_.end()) {
      violated(
          fmt::format("unit {} was {}, and is there", id, gone_.contains(id) ? "rolled back" : "never made"));
      return;
    }
    commit(found);
  }
  for (uint64_t id : prepared)
    if (!pending_.contains(id)) violated(fmt::format("unit {} is prepared, which cannot be", id));
  // Nobody is left who could still commit them.
  for (auto at = pending_.begin(); at != pending_.end();) {
    if (prepared.contains(at->first)) {
      ++at;
      continue;
    }
    if (at->second.prepared && !at->second.rolling_back)
      violated(fmt::format("prepared unit {} is lost", at->first));
    at = drop(at);
  }
}

Status SqlLine::finish_prepared(Task& task, Life& life, const std::set<uint64_t>& prepared) {
  for (uint64_t id : prepared) {
    auto found = pending_.find(id);
    if (found == pending_.end()) continue;
    found->second.prepared = true;
    bool keep = task.env().random("client").below(2) == 0;
    TRY(finish(task, life, id, keep));
  }
  return {};
}

// A server that starts finds unlogged tables empty, and sequences where their WAL is.
void SqlLine::begin_life(Life& life) {
  if (life.began || deposed(life)) return;
  life.began = true;
  gap_ += kGapOfAStart;
  for (const auto& [name, table] : state_->tables)
    if (table.unlogged) add_item({SqlItem::Kind::Run, "truncate " + name, {}});
}

Status SqlLine::look_at_sequences(Task& task, Life& life) {
  uint64_t gap = gap_;
  SqlState state = *life.state;
  std::vector<SqlItem> found;
  for (const auto& [name, increment] : state.sequences) {
    TRY_ASSIGN(std::string at, one(task, life, ask_sequence(name)));
    found.push_back({SqlItem::Kind::Sequence, name, at, gap});
  }
  // What a transaction took that came to nothing is durable with the next one that commits.
  TRY(life.sql.commit(task, kCommitOfNothing));
  if (deposed(life)) return {};
  for (SqlItem& item : found) add_item(std::move(item));
  gap_ -= gap;
  return {};
}

Status SqlLine::ask(Task& task, Life& life, const std::string& question) {
  TRY_ASSIGN(SqlRows rows, life.sql.run(task, question));
  if (!deposed(life)) add_item({SqlItem::Kind::Ask, question, to_text(rows)});
  return {};
}

Status SqlLine::look_at_data(Task& task, Life& life) {
  for (const std::string& question : ask_everything(*life.state)) TRY(ask(task, life, question));
  return {};
}

Status SqlLine::look_at_indexes(Task& task, Life& life) {
  TRY(life.sql.run(task, "set enable_seqscan = off"));
  for (const std::string& question : ask_indexes(*life.state, task.env().random("questions")))
    TRY(ask(task, life, question));
  TRY(life.sql.run(task, "reset enable_seqscan"));
  return {};
}

Status SqlLine::check_structure(Task& task, Life& life, bool whole) {
  for (const std::string& question : ask_amcheck(whole)) {
    TRY_ASSIGN(std::string found, one(task, life, question));
    bool counts = question.starts_with("select count");
    if (!counts && !found.empty() && !deposed(life)) violated("amcheck: " + found);
  }
  return {};
}

}  // namespace argon::scenarios
