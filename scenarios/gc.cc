#include "scenarios/gc.h"

#include "scenarios/cluster_run.h"
#include "scenarios/lease_holders.h"
#include "scenarios/oracle_remote.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 5;
constexpr uint64_t kLeaseHolders = 12;

// The second pageserver takes the tenant over, for a while. The first is not told.
void take_over(Cluster& cluster) {
  Run& run = cluster.run();
  if (!cluster.rival_pageserver().up()) cluster.rival_pageserver().restart();
  run.run_for(run.random().between(Duration::seconds(1), Duration::seconds(6)));
  if (run.failed()) return;
  if (run.random().chance({1, 2})) cluster.rival_pageserver().power_loss();
  // Its next start claims a generation again.
  cluster.pageserver().power_loss();
  cluster.pageserver().restart();
}

void step(Cluster& cluster, LeaseHolders& leases, bool rival) {
  uint64_t what = cluster.run().random().below(16);
  if (what < 8)
    ask_for_work(cluster);
  else if (what < 11)
    maybe_branch(cluster, kMostLines);
  else if (what < 15 || !rival)
    leases.add();
  else
    take_over(cluster);
}

void gc_body(Run& run) {
  using enum faults::Kind;
  ClusterKnobs knobs;
  knobs.small_layers = true;
  knobs.gc = true;
  knobs.rival_pageserver = run.random().fork("rival").chance({1, 3}) && run.limited("rivals", 1) > 0;
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  watch_remote(cluster);
  run.start_faults(
      cluster.nodes(), run.options().length,
      {WallClockOffset, WallClockStep, WallClockDrift, WallClockFrozen}, {"pageserver"},
      [&](sim::Machine&, const std::string& path) { return cluster.is_layer_that_can_be_made_anew(path); });
  LeaseHolders leases(cluster, run.limited("leases", kLeaseHolders));
  now_and_then(run, run.options().length / 40, [&] { step(cluster, leases, knobs.rival_pageserver); });
  if (run.failed()) return;
  run.heal();
  if (knobs.rival_pageserver) {
    cluster.rival_pageserver().power_loss();
    cluster.pageserver().power_loss();
    cluster.pageserver().restart();
  }
  check_end(cluster);
}

}  // namespace

constinit const Scenario kGc{
    "gc",
    "what is in the PITR window, at a branch point or under a lease stays, whatever GC removes",
    gc_body,
    {10, 20, 0},
    false};

}  // namespace argon::scenarios
