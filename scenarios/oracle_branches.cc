#include "scenarios/oracle_branches.h"

namespace argon::scenarios {
namespace {

// Reads until it works: the pageserver may still be catching up. False where it did not, or the run failed.
void verify(Cluster& cluster, const Line& line, const compute::ReferenceModel& reference, Lsn lsn,
            const std::string& oracle, const std::string& when) {
  Run& run = cluster.run();
  if (run.failed()) return;
  Result<size_t> pages = size_t{0};
  Status ended = run.world().run(
      cluster.operators(),
      [&](Task& task) -> Status {
        MonotonicTime end = task.env().now() + Duration::seconds(100);
        for (;;) {
          {
            Deadline deadline(task, Duration::seconds(30));
            pages = compute::verify_timeline(task, task.env(), cluster.pages(), line.id, reference, lsn);
          }
          if (pages.ok() || pages.is(Code::Corrupt) || task.env().now() >= end) return {};
          TRY(task.sleep(Duration::milliseconds(500)));
        }
      },
      Duration::seconds(200));
  if (ended.ok() && !pages.ok()) ended = pages.error();
  if (!ended.ok())
    run.fail(oracle, line.name + " at " + to_string(lsn) + " " + when + ": " + ended.error().to_string());
  else
    run.work().pages_checked += *pages;
}

}  // namespace

void check_all_pages(Cluster& cluster, const std::string& when) {
  for (const auto& line : cluster.lines()) {
    if (line->at_branch != nullptr)
      verify(cluster, *line, *line->at_branch, line->branch_point, "a branch reads as its parent did", when);
    Lsn last = line->reference->last_acknowledged();
    if (last > line->branch_point)
      verify(cluster, *line, *line->reference, last, "every page equals the reference model's", when);
  }
}

}  // namespace argon::scenarios
