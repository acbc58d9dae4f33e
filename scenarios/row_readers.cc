#include "scenarios/row_readers.h"

namespace argon::scenarios {
namespace {

constexpr uint64_t kReaders = 2;
constexpr int kChecksBetween = 3;  // of each line, at the end

}  // namespace

void RowReaders::start() {
  for (uint64_t i = 0; i < kReaders; i++)
    cluster_.operators().spawn("rows", [this, i](Task& task) { return work(task, i); });
}

Status RowReaders::work(Task& task, uint64_t number) {
  Random& random = task.env().random("rows " + std::to_string(number));
  while (!stopped_) {
    TRY(task.sleep(random.exponential(Duration::milliseconds(700))));
    const Line& line = *cluster_.lines()[random.below(cluster_.lines().size())];
    Lsn lsn = draw_readable(random, line);
    Deadline deadline(task, Duration::seconds(20));
    TRY(read_once(task, line, lsn));
  }
  return {};
}

// Only Cancelled, of the task itself, is an error.
Status RowReaders::read_once(Task& task, const Line& line, Lsn lsn) {
  Result<std::vector<compute::Row>> rows = read_rows(task, cluster_, line, lsn);
  if (!rows.ok() && !rows.is(Code::Corrupt)) return {};
  Result<RowMap> unique = rows.ok() ? unique_rows(*rows) : Result<RowMap>(rows.error());
  std::string wrong = unique.ok() ? judge_(line, lsn, *unique) : unique.error().to_string();
  if (!wrong.empty()) cluster_.run().fail(oracle_, line.name + " at " + to_string(lsn) + ": " + wrong);
  reads_++;
  return {};
}

void RowReaders::check(const Line& line, Lsn lsn, const std::string& when) {
  std::optional<RowMap> rows = rows_at(cluster_, line, lsn, oracle_);
  std::string wrong = rows ? judge_(line, lsn, *rows) : "";
  if (!wrong.empty())
    cluster_.run().fail(oracle_, line.name + " at " + to_string(lsn) + ", " + when + ": " + wrong);
}

void RowReaders::check_branch_point(const Line& line, const std::string& when) {
  std::optional<RowMap> here = rows_at(cluster_, line, line.branch_point, oracle_);
  std::optional<RowMap> there = rows_at(cluster_, *line.parent, line.branch_point, oracle_);
  if (here && there && *here != *there)
    cluster_.run().fail(oracle_, line.name + " has other rows at its branch point " +
                                     to_string(line.branch_point) + " than " + line.parent->name + ", " +
                                     when);
}

void RowReaders::check_all(const std::string& when) {
  for (const auto& line : cluster_.lines()) {
    const std::vector<Lsn>& commits = line->events->commits();
    if (!commits.empty()) check(*line, commits.back(), when);
    check(*line, line->branch_point, when);
    for (int i = 0; i < kChecksBetween; i++)
      check(*line, draw_readable(cluster_.run().random(), *line), when);
    if (line->parent != nullptr) check_branch_point(*line, when);
  }
}

}  // namespace argon::scenarios
