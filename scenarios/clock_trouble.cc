#include "scenarios/clock_trouble.h"

#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

void clock_trouble_body(Run& run) {
  using enum faults::Kind;
  Cluster cluster(run);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  start_faults_of(run, {WallClockOffset, WallClockStep, PowerLoss, Stall, LatencyTail}, cluster.nodes());
  now_and_then(run, run.options().length / 30, [&] {
    const std::string& name = cluster.nodes()[run.random().below(cluster.nodes().size())];
    Duration step = Duration::seconds(static_cast<int64_t>(run.random().log_uniform(1, 300'000'000)));
    bool back = run.random().chance({1, 2});
    run.world().find_machine(name)->step_wall_clock(back ? Duration() - step : step);
    if (run.random().chance({1, 8})) maybe_branch(cluster, 2);
  });
  heal_and_check(cluster);
}

}  // namespace

constinit const Scenario kClockTrouble{"clock-trouble",
                                       "wall clocks that are wrong and jump by years change nothing",
                                       clock_trouble_body,
                                       {20, 30, 0},
                                       false};

}  // namespace argon::scenarios
