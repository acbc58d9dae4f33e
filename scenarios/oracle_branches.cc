#include "scenarios/oracle_branches.h"

#include <functional>

namespace argon::scenarios {
namespace {

struct Wanted {
  const Line& line;
  const compute::ReferenceModel& reference;
  std::function<Lsn()> lsn;  // asked again where GC was quicker; the same: GC must not be
  std::string oracle;
  std::string when;
};

// A lease first, where history goes: computes go on meanwhile. Nothing where it was refused.
Result<std::optional<size_t>> try_once(Task& task, Cluster& cluster, const Wanted& wanted, Lsn lsn) {
  Deadline deadline(task, Duration::seconds(30));
  if (cluster.gc()) {
    TRY_ASSIGN(bool leased, cluster.lease(task, wanted.line, lsn));
    if (!leased) return std::optional<size_t>();
  }
  auto pages =
      compute::verify_timeline(task, task.env(), cluster.pages(), wanted.line.id, wanted.reference, lsn);
  if (!pages.ok()) return pages.error();
  return std::optional(*pages);
}

// Reads until it works: the pageserver may still be catching up. False where it did not, or the run failed.
void verify(Cluster& cluster, const Wanted& wanted) {
  Run& run = cluster.run();
  if (run.failed()) return;
  Result<std::optional<size_t>> pages = std::optional<size_t>();
  Lsn lsn = wanted.lsn();
  Status ended = run.world().run(
      cluster.operators(),
      [&](Task& task) -> Status {
        MonotonicTime end = task.env().now() + Duration::seconds(100);
        for (;;) {
          pages = try_once(task, cluster, wanted, lsn);
          if ((pages.ok() && *pages) || pages.is(Code::Corrupt) || task.env().now() >= end) return {};
          if (pages.ok() && wanted.lsn() == lsn) return Error(Code::Invalid, "GC was quicker");
          lsn = wanted.lsn();
          TRY(task.sleep(Duration::milliseconds(500)));
        }
      },
      Duration::seconds(200));
  if (ended.ok() && !pages.ok()) ended = pages.error();
  if (!ended.ok())
    run.fail(wanted.oracle, wanted.line.name + " at " + to_string(lsn) + " " + wanted.when + ": " +
                                ended.error().to_string());
  else
    run.work().pages_checked += pages->value_or(0);
}

}  // namespace

void check_all_pages(Cluster& cluster, const std::string& when) {
  for (const auto& line : cluster.lines()) {
    if (line->at_branch != nullptr)
      verify(cluster, {*line, *line->at_branch, [&] { return line->branch_point; },
                       "a branch reads as its parent did", when});
    auto last = [&] { return line->reference->last_acknowledged(); };
    if (last() > line->branch_point)
      verify(cluster, {*line, *line->reference, last, "every page equals the reference model's", when});
  }
}

}  // namespace argon::scenarios
