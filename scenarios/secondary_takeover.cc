#include "scenarios/secondary_takeover.h"

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_remote.h"
#include "scenarios/tenant_mover.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 3;

void restart_computes(Cluster& cluster) {
  for (const auto& line : cluster.lines())
    for (const std::string& name : line->computes) {
      sim::Machine& compute = *cluster.run().world().find_machine(name);
      compute.power_loss();
      if (!compute.up()) compute.restart();
    }
}

void secondary_takeover_body(Run& run) {
  ClusterKnobs knobs;
  knobs.small_layers = run.random().fork("small layers").chance({1, 2});
  knobs.gc = true;
  knobs.second_pageserver = true;
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  watch_remote(cluster);
  cluster.start_faults();
  TenantMover mover(cluster, [&] { restart_computes(cluster); }, [] { return true; });
  now_and_then(run, run.options().length / 60, [&] {
    uint64_t what = run.random().below(12);
    if (what < 8)
      mover.step();
    else if (what < 9)
      maybe_branch(cluster, kMostLines);
    else if (what < 11)
      ask_for_work(cluster);
    else
      mover.one_pageserver_dies();
  });
  if (run.failed()) return;
  run.heal();
  mover.finish();
  run.demand("moves", mover.moved(), 1);
  if (!run.failed()) check_end(cluster);
}

}  // namespace

constinit const Scenario kSecondaryTakeover{
    "secondary-takeover",
    "a tenant moves between two pageservers while everything goes on, and fails, and its warm copy is used",
    secondary_takeover_body,
    {10, 10, 0},
    false};

}  // namespace argon::scenarios
