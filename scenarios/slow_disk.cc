#include "scenarios/slow_disk.h"

#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

void slow_disk_body(Run& run) {
  using enum faults::Kind;
  Cluster cluster(run);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  start_faults_of(run, {SlowDisk, NoSpace, Stall, UnsyncedDataLost, PowerLoss}, cluster.nodes());
  now_and_then(run, run.options().length / 6, [&] { maybe_branch(cluster, 2); });
  heal_and_check(cluster);
}

}  // namespace

constinit const Scenario kSlowDisk{
    "slow-disk", "slow, stalled and full disks cost time only", slow_disk_body, {10, 10, 0}, false};

}  // namespace argon::scenarios
