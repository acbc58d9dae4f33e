#include "scenarios/pageserver_loss.h"

#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

void pageserver_loss_body(Run& run) {
  using enum faults::Kind;
  Cluster cluster(run);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  start_faults_of(run, {LatencyTail, Reset, OneWayPartition, Stall, SlowDisk, PowerLoss, GracefulRestart},
                  cluster.nodes());
  now_and_then(run, run.options().length / 8, [&] {
    replace_disk(cluster.pageserver());
    maybe_branch(cluster, 3);
  });
  heal_and_check(cluster);
}

}  // namespace

constinit const Scenario kPageserverLoss{
    "pageserver-loss",
    "safekeepers and object store suffice, whenever the pageserver loses its disk",
    pageserver_loss_body,
    {20, 30, 0},
    false};

}  // namespace argon::scenarios
