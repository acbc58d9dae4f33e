#include "scenarios/sql_reference.h"

#include <fmt/format.h>

namespace argon::scenarios {
namespace {

constexpr const char* kOracle = "data equals the reference's";
constexpr Duration kPoll = Duration::milliseconds(50);
constexpr const char* kSettings =
    "fsync = off\ndynamic_shared_memory_type = mmap\nhuge_pages = off\njit = off\nmax_connections = 4\n"
    "max_prepared_transactions = 4\nwal_init_zero = off\nwal_recycle = off\nlog_line_prefix = ''\n"
    "log_min_error_statement = panic\nshared_buffers = 16MB\n"
    // Its indexes are not asked: what they say is what is compared.
    "enable_indexscan = off\nenable_indexonlyscan = off\nenable_bitmapscan = off\n";

// What the sequence would give next, without its increment.
std::optional<int64_t> position(std::string_view shown, int64_t increment) {
  size_t space = shown.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  int64_t last = std::stoll(std::string(shown.substr(0, space)));
  return shown.substr(space + 1) == "1" ? last : last - increment;
}

}  // namespace

std::string to_text(const SqlRows& rows) {
  std::string text;
  for (const auto& row : rows) {
    for (const auto& column : row) text += column.value_or("NULL") + "|";
    text += "\n";
  }
  return text;
}

struct SqlReference::Shared {
  Run& run;
  std::string name;
  std::deque<SqlItem> items;  // the first is what it is at
  std::string last;           // of what it ran

  Status serve(Task& task, sim::Machine& machine);
  Status run_item(Task& task, SqlSession& sql, const SqlItem& item);
  Status follow_sequence(Task& task, SqlSession& sql, const SqlItem& item);
  void violated(const std::string& what) { run.fail(kOracle, name + ": " + what); }
};

SqlReference::SqlReference(Run& run, sim::Machine& machine, std::string name,
                           const std::vector<SqlItem>& history)
    : shared_(std::make_shared<Shared>(Shared{run, std::move(name), {history.begin(), history.end()}, {}})) {
  machine.spawn("reference",
                [shared = shared_, &machine](Task& task) { return shared->serve(task, machine); });
}

void SqlReference::add(SqlItem item) {
  shared_->items.push_back(std::move(item));
}

bool SqlReference::idle() const {
  return shared_->items.empty();
}

Status SqlReference::Shared::serve(Task& task, sim::Machine& machine) {
  Scope scope(task);
  sim::PostgresServer server(scope, task.env(), machine.world(), machine.index(), *run.options().postgres);
  TRY_ASSIGN(Bytes settings, tar_of({{"postgresql.conf", kSettings}}));
  TRY_ASSIGN(sim::PostgresServer::Said started, server.start(task, nullptr, settings));
  SqlSession sql(server, Term(), nullptr);
  Status done;
  if (started.ended) done = Error(Code::Unavailable, started.log);
  while (done.ok() && !run.failed()) {
    if (items.empty()) {
      done = task.sleep(kPoll);
      continue;
    }
    done = run_item(task, sql, items.front());
    if (done.ok()) items.pop_front();
  }
  if (!done.ok() && !done.is(Code::Cancelled))
    violated(fmt::format("the reference: {} (of: {}; after: {})", done.error().to_string(),
                         items.empty() ? "" : items.front().text, last));
  Shield shield(task);
  return server.stop(task);
}

Status SqlReference::Shared::run_item(Task& task, SqlSession& sql, const SqlItem& item) {
  if (item.kind == SqlItem::Kind::Sequence) return follow_sequence(task, sql, item);
  TRY_ASSIGN(SqlRows rows, sql.run(task, item.text));
  if (item.rows && to_text(rows) != *item.rows)
    violated(
        fmt::format("{}: {}; the reference has {} (after: {})", item.text, *item.rows, to_text(rows), last));
  if (item.kind == SqlItem::Kind::Run) last = item.text;
  return {};
}

Status SqlReference::Shared::follow_sequence(Task& task, SqlSession& sql, const SqlItem& item) {
  TRY_ASSIGN(SqlRows rows,
             sql.run(task, fmt::format("select last_value || ' ' || is_called::int, seqincrement from {0}, "
                                       "pg_sequence where seqrelid = '{0}'::regclass",
                                       item.text)));
  CHECK(rows.size() == 1 && rows[0].size() == 2 && item.rows);
  int64_t increment = std::stoll(rows[0][1].value_or("1"));
  std::string own = rows[0][0].value_or("");
  auto before = position(own, increment);
  auto now = position(*item.rows, increment);
  if (!before || !now || *now < *before || *now > *before + static_cast<int64_t>(item.gap) * increment) {
    violated(
        fmt::format("sequence {} is at {}; the reference's is at {}, a gap of {} is possible (after: {})",
                    item.text, *item.rows, own, item.gap, last));
    return {};
  }
  size_t space = item.rows->find(' ');
  TRY(sql.run(task, fmt::format("select setval('{}', {}, {})", item.text, item.rows->substr(0, space),
                                item.rows->substr(space + 1) == "1")));
  return {};
}

}  // namespace argon::scenarios
