#include "scenarios/oracle_rows.h"

#include "core/compute/page_client.h"

namespace argon::scenarios {

Result<RowMap> unique_rows(const std::vector<compute::Row>& rows) {
  RowMap map;
  for (const compute::Row& row : rows)
    if (!map.emplace(row.key, row.value).second)
      return Error(Code::Corrupt, "row " + std::to_string(row.key) + " is there twice, as " +
                                      std::to_string(map[row.key]) + " and as " + std::to_string(row.value));
  return map;
}

Result<std::vector<compute::Row>> read_rows(Task& task, Cluster& cluster, const Line& line, Lsn lsn) {
  Scope scope(task);
  compute::PageClient client(scope, task.env(), {cluster.pages(), line.id});
  Result<std::vector<compute::Row>> rows = compute::read_rows(task, client, lsn);
  ignore_result(client.stop(task));
  ignore_result(scope.stop(task));
  return rows;
}

std::optional<RowMap> rows_at(Cluster& cluster, const Line& line, Lsn lsn, const std::string& oracle) {
  Run& run = cluster.run();
  if (run.failed()) return {};
  std::optional<RowMap> found;
  Status ended = run.world().run(
      cluster.operators(),
      [&](Task& task) -> Status {
        MonotonicTime end = task.env().now() + Duration::seconds(100);
        for (;;) {
          Result<std::vector<compute::Row>> rows = [&] {
            Deadline deadline(task, Duration::seconds(30));
            return read_rows(task, cluster, line, lsn);
          }();
          if (rows.ok()) {
            TRY_ASSIGN(found, unique_rows(*rows));
            return {};
          }
          if (rows.is(Code::Corrupt) || task.env().now() >= end) return rows.error();
          TRY(task.sleep(Duration::milliseconds(500)));
        }
      },
      Duration::seconds(200));
  if (!ended.ok())
    run.fail(oracle, line.name + " read at " + to_string(lsn) + ": " + ended.error().to_string());
  return found;
}

Lsn draw_readable(Random& random, const Line& line) {
  const std::vector<Lsn>& commits = line.events->commits();
  Lsn last = commits.empty() ? line.branch_point : std::max(commits.back(), line.branch_point);
  uint64_t way = random.below(4);
  if (commits.empty() || way == 0) return Lsn(random.between(line.branch_point.value, last.value));
  Lsn commit = way == 1 ? last : commits[random.below(commits.size())];
  return way == 3 ? std::max(Lsn(commit.value - 1), line.branch_point) : commit;
}

}  // namespace argon::scenarios
