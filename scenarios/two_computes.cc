#include "scenarios/two_computes.h"

#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

void two_computes_body(Run& run) {
  using enum faults::Kind;
  Cluster cluster(run);
  if (!cluster.set_up()) return;
  Line& root = *cluster.lines().front();
  uint64_t computes = 1 + run.limited("rivals", 1 + run.random().below(2));
  for (uint64_t i = 0; i < computes; i++) {
    Duration supervise = Duration::milliseconds(static_cast<int64_t>(run.random().log_uniform(500, 20'000)));
    cluster.add_compute(root, supervise);
  }
  start_faults_of(run, {Reset, OneWayPartition, GroupPartition, Clog, HalfOpen, Stall, PowerLoss},
                  cluster.nodes());
  now_and_then(run, run.options().length / 10, [&] {
    std::string name = "compute-" + std::to_string(1 + run.random().below(computes));
    Duration sleeps = Duration::milliseconds(static_cast<int64_t>(run.random().log_uniform(500, 30'000)));
    run.world().find_machine(name)->stall_until(run.world().now() + sleeps);
  });
  heal_and_check(cluster);
}

}  // namespace

constinit const Scenario kTwoComputes{
    "two-computes",
    "of several computes on one timeline one writes; a zombie acknowledges nothing",
    two_computes_body,
    {10, 10, 0},
    false};

}  // namespace argon::scenarios
