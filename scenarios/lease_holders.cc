#include "scenarios/lease_holders.h"

namespace argon::scenarios {

void LeaseHolders::add() {
  Run& run = cluster_.run();
  const Line& line = *cluster_.lines()[run.random().below(cluster_.lines().size())];
  bool below = line.parent != nullptr && run.random().chance({1, 3});
  std::vector<Lsn> commits = (below ? line.parent : &line)->events->commits();
  if (below) std::erase_if(commits, [&](Lsn lsn) { return lsn > line.branch_point; });
  if (left_ == 0 || commits.empty()) return;
  left_--;
  Lsn lsn = commits[run.random().below(commits.size())];
  Duration length = run.random().between(Duration::seconds(1), Duration::seconds(30));
  cluster_.operators().spawn("lease holder", [this, &line, lsn, length](Task& task) {
    return hold(task, line, lsn, task.env().now() + length);
  });
}

Status LeaseHolders::read(Task& task, const Line& line, Lsn lsn) {
  Deadline deadline(task, cluster_.gc()->lease / 2);
  auto pages = compute::verify_timeline(task, task.env(), cluster_.pages(), line.id, *line.reference, lsn);
  if (pages.ok()) cluster_.run().work().pages_checked += *pages;
  return pages.ok() ? Status() : pages.error();
}

Status LeaseHolders::hold(Task& task, const Line& line, Lsn lsn, MonotonicTime end) {
  Run& run = cluster_.run();
  MonotonicTime until;
  auto fail = [&](const std::string& what) {
    run.fail("a lease keeps what it is of", line.name + " at " + to_string(lsn) + ": " + what);
    return Status();
  };
  while (task.env().now() < end) {
    MonotonicTime asked = task.env().now();
    Result<bool> given = false;
    {
      Deadline deadline(task, cluster_.gc()->lease / 2);
      given = cluster_.lease(task, line, lsn);
    }
    bool first = until == MonotonicTime();
    if (given.is(Code::Cancelled)) return given.error();
    if (given.ok() && !*given) {
      if (first) cluster_.history_gone(line, lsn, "a lease");
      if (!first && task.env().now() < until)
        return fail("a renewal was refused while the lease was in force");
      return {};
    }
    if (!given.ok() && first) return {};
    if (given.ok()) until = asked + cluster_.gc()->lease;
    Status good = read(task, line, lsn);
    if (good.is(Code::Cancelled)) return good;
    bool gone = !good.ok() && compute::is_below_gc_cutoff(good.error());
    if (good.is(Code::Corrupt)) return fail(good.error().message());
    if (gone && task.env().now() < until)
      return fail("refused while the lease was in force: " + good.error().message());
    if (gone) return {};
    TRY(task.sleep(cluster_.gc()->lease / 4));
  }
  return {};
}

}  // namespace argon::scenarios
