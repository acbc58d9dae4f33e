#include "scenarios/load.h"

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_branches.h"
#include "scenarios/oracle_remote.h"
#include "scenarios/oracle_same_wal.h"

namespace argon::scenarios {
namespace {

// Longer than any run.
constexpr Duration kNever = Duration::seconds(1'000'000);
// What waits for nothing (a reader, before there is anything to read) must not turn round without end.
constexpr Duration kNone = Duration::microseconds(100);

ClusterKnobs pausing(Duration pause) {
  ClusterKnobs knobs;
  knobs.pause = pause;
  return knobs;
}

void idle_body(Run& run) {
  Cluster cluster(run, pausing(kNever));
  if (!cluster.set_up()) return;
  Line& root = *cluster.lines().front();
  cluster.add_compute(root, Duration::seconds(1));
  if (!run.run_until([&] { return root.reference->relations().size() > 0; }, Duration::seconds(30))) {
    run.fail("start", "no compute is elected within 30 s");
    return;
  }
  watch_remote(cluster);
  Term term = root.reference->term();
  run.run_for(run.options().length);
  for (const auto& machine : run.world().machines())
    if (machine->boots() != 1 || !machine->up()) run.fail("an idle cluster stays up", machine->name());
  if (root.reference->term() != term)
    run.fail("an idle cluster stays up", "elected again, in term " + to_string(root.reference->term()));
  check_all_pages(cluster, "after doing nothing");
}

void saturation_body(Run& run) {
  Cluster cluster(run, pausing(kNone));
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  watch_remote(cluster);
  run.run_for(run.options().length);
  check_end(cluster);
}

}  // namespace

constinit const Scenario kIdle{
    "idle", "a cluster that nobody uses stays up, with one compute in one term", idle_body, {0, 0, 0}, true};

constinit const Scenario kSaturation{"saturation",
                                     "computes that never pause lose nothing, and every page is right",
                                     saturation_body,
                                     {1000, 1000, 0},
                                     true};

}  // namespace argon::scenarios
