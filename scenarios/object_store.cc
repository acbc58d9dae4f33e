#include "scenarios/object_store.h"

#include <algorithm>

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_remote.h"

namespace argon::scenarios {
namespace {

// A compute stops for a while, as with scale to zero, so that safekeepers leave its WAL to the object store.
void suspend(Cluster& cluster) {
  Run& run = cluster.run();
  const Line& line = *cluster.lines()[run.random().below(cluster.lines().size())];
  sim::Machine& machine = *run.world().find_machine(line.computes.front());
  machine.ask_to_stop();
  run.run_until([&] { return !machine.up(); }, Duration::seconds(60));
  Duration time = Duration::milliseconds(static_cast<int64_t>(run.random().log_uniform(2000, 40'000)));
  run.run_for(std::min(time, run.options().length - run.world().now()));
  if (!run.failed() && !machine.up()) machine.restart();
}

void object_store_body(Run& run) {
  using enum faults::Kind;
  ClusterKnobs knobs;
  knobs.small_layers = run.random().chance({1, 2});
  knobs.store_latency = Duration::milliseconds(static_cast<int64_t>(run.random().log_uniform(50, 1500)));
  knobs.s3 = run.random().fork("with S3").chance({1, 2});
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  // Who dies in the middle of a request does not know either.
  std::vector<faults::Kind> kinds{PowerLoss,        CrashLoop,   GracefulRestart, Stall,
                                  UnsyncedDataLost, StoreError,  StoreLostAnswer, StoreLate,
                                  StoreHang,        StoreOutage, StoreThrottle,   StoreReadError};
  if (knobs.s3)
    for (faults::Kind kind : {Reset, OneSidedReset, OneWayPartition, HalfOpen, Clog}) kinds.push_back(kind);
  watch_remote(cluster);
  start_faults_of(run, kinds, cluster.nodes());
  now_and_then(run, run.options().length / 8, [&] {
    maybe_branch(cluster, 2);
    if (run.random().chance({1, 3})) replace_disk(cluster.pageserver());
    if (run.random().chance({1, 3})) suspend(cluster);
  });
  run.heal();
  // The store stays as slow as it is. Whoever starts asks it some ten times, one after the other, and may
  // have been killed in the middle of that until now.
  run.run_for(*knobs.store_latency * 40);
  check_end(cluster);
}

}  // namespace

constinit const Scenario kObjectStore{
    "object-store",
    "an object store that answers late, or not before its caller is gone, costs time only",
    object_store_body,
    {10, 10, 0},
    false};

}  // namespace argon::scenarios
