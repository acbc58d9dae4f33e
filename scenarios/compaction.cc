#include "scenarios/compaction.h"

#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

void compaction_body(Run& run) {
  using enum faults::Kind;
  ClusterKnobs knobs;
  knobs.small_layers = true;
  knobs.gc = run.random().fork("with gc").chance({1, 2});
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  start_faults_of(run,
                  {PowerLoss, CrashLoop, UnsyncedDataLost, TornSectors, UnsyncedNamesLost, ReadError,
                   WriteError, SyncFailure, SlowDisk, Stall},
                  {"pageserver"});
  now_and_then(run, run.options().length / 40, [&] {
    ask_for_work(cluster);
    if (run.random().chance({1, 8})) maybe_branch(cluster, 3);
  });
  heal_and_check(cluster);
}

}  // namespace

constinit const Scenario kCompaction{
    "compaction",
    "flushes and compactions change no page at any LSN, wherever they are cut off",
    compaction_body,
    {20, 40, 0},
    false};

}  // namespace argon::scenarios
