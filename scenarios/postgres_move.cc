#include "scenarios/postgres_move.h"

#include <fmt/format.h>

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_remote.h"
#include "scenarios/sql_bank.h"
#include "scenarios/tenant_mover.h"

namespace argon::scenarios {
namespace {

void body(Run& run) {
  ClusterKnobs knobs = BankCompute::knobs();
  knobs.second_pageserver = true;
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  BankCompute compute(cluster);
  Random random = run.random().fork("move");
  // Those that hold the whole bank never need the other pageserver.
  static constexpr const char* kBuffers[] = {"128kB", "256kB"};
  compute.add_setting(std::string("shared_buffers = ") + kBuffers[random.below(2)]);
  // The one process takes settings up between statements only, so none may wait long for a former pageserver.
  compute.add_setting(fmt::format("argon.pageserver_timeout = {}", random.between(2, 20)));
  compute.start();
  watch_remote(cluster);
  cluster.start_faults();
  TenantMover mover(cluster, [&] { compute.move(); }, [&] { return compute.told(); });
  now_and_then(run, run.options().length / 60, [&] {
    uint64_t what = run.random().below(12);
    if (what < 9)
      mover.step();
    else if (what < 11)
      ask_for_work(cluster);
    else
      mover.one_pageserver_dies();
  });
  if (run.failed()) return;
  // No core alone: that has the first pageserver only, and the tenant may be at the second.
  run.heal();
  mover.finish();
  run.demand("moves", mover.moved(), 1);
  // Whoever stays where he is has the right one after every other move.
  compute.check_progress("after a move");
  if (!run.failed()) mover.finish();
  if (run.failed()) return;
  end_healed_postgres_run(run, cluster, {&compute.machine()},
                          [&](const std::string& which) { compute.check_progress(which); });
}

}  // namespace

constinit const Scenario kPostgresMove{
    "postgres-move",
    "a stock PostgreSQL server goes on while its tenant moves between pageservers, and everything fails",
    body,
    {5, 1, 0},
    false,
    true,
    true};

}  // namespace argon::scenarios
