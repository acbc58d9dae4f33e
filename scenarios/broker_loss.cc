#include "scenarios/broker_loss.h"

#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

constexpr Duration kPatience = Duration::seconds(15);

// Away for a while; in that time there must be commits.
void without_broker(Cluster& cluster) {
  Run& run = cluster.run();
  sim::Machine& broker = *run.world().find_machine("broker");
  Duration away = Duration::milliseconds(static_cast<int64_t>(run.random().log_uniform(500, 25'000)));
  broker.power_loss();
  broker.storage().wipe();
  uint64_t commits = run.work().commits_acked;
  run.run_for(away);
  bool none = run.work().commits_acked == commits;
  if (!run.failed() && !run.idles() && away >= kPatience && none)
    run.fail("commits go on without a broker", "none in " + std::to_string(away.to_seconds()) + " s");
  broker.restart();
}

void broker_loss_body(Run& run) {
  using enum faults::Kind;
  Cluster cluster(run);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  run.run_for(Duration::seconds(3));
  start_faults_of(run, {LatencyTail, ShortReads, ShortWrites, BufferPressure, WallClockStep},
                  cluster.nodes());
  now_and_then(run, Duration::seconds(4), [&] { without_broker(cluster); });
  heal_and_check(cluster);
}

}  // namespace

constinit const Scenario kBrokerLoss{"broker-loss",
                                     "commits and reads go on without a broker, and it may forget everything",
                                     broker_loss_body,
                                     {60, 30, 0},
                                     false};

}  // namespace argon::scenarios
