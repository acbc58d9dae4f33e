#include "scenarios/safekeeper_loss.h"

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_safekeeper_disk.h"

namespace argon::scenarios {
namespace {

constexpr Duration kRepair = Duration::seconds(120);

// Whether `other` knows and has everything that `lost` does, of this line.
bool covers(const SafekeeperDisk& other, const SafekeeperDisk& lost) {
  auto theirs = other.state();
  auto its = lost.state();
  if (its.is(Code::NotFound)) return true;
  return its.ok() && theirs.ok() && theirs->term >= its->term && theirs->history == its->history &&
         other.end_of_wal(*theirs) >= lost.end_of_wal(*its);
}

bool may_go(Cluster& cluster, sim::Machine& lost, NodeId id) {
  for (size_t i = 0; i < cluster.safekeepers().size(); i++) {
    sim::Machine& other = *cluster.safekeepers()[i];
    if (&other == &lost) continue;
    if (!other.up()) return false;
    for (const auto& line : cluster.lines())
      if (!covers({other, NodeId(i + 1), line->id, &cluster.wal_backup()},
                  {lost, id, line->id, &cluster.wal_backup()}))
        return false;
  }
  return true;
}

// What an operator does: the others are the members, then all are again. Until then the emptied one is
// refused whatever it kept.
void repair(Cluster& cluster, NodeId emptied) {
  std::vector<NodeId> all{NodeId(1), NodeId(2), NodeId(3)};
  std::vector<NodeId> others = all;
  std::erase(others, emptied);
  for (const auto& line : cluster.lines())
    for (const std::vector<NodeId>& members : {others, all})
      if (!cluster.change_members(*line, members, kRepair)) return;
}

// Switches one off; empties its disk if that is safe. True where it did.
bool lose_one(Cluster& cluster) {
  Run& run = cluster.run();
  uint64_t which = run.random().below(3);
  sim::Machine& lost = *cluster.safekeepers()[which];
  lost.power_loss();
  bool go = may_go(cluster, lost, NodeId(which + 1));
  if (go) {
    lost.storage().wipe();
    run.world().forget_claims("safekeeper " + std::to_string(which + 1) + " ");
  }
  run.run_for(run.random().exponential(Duration::milliseconds(500)));
  if (!lost.up()) lost.restart();
  if (go) repair(cluster, NodeId(which + 1));
  return go;
}

void safekeeper_loss_body(Run& run) {
  using enum faults::Kind;
  Cluster cluster(run);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  // Nothing that takes from a disk what was written: then the disks tell what their nodes will know.
  start_faults_of(run,
                  {LatencyTail, Reset, OneWayPartition, Clog, SlowLink, Stall, SlowDisk, GracefulRestart},
                  cluster.nodes());
  uint64_t lost = 0;
  now_and_then(run, run.options().length / 10, [&] {
    lost += lose_one(cluster) ? 1 : 0;
    maybe_branch(cluster, 2);
  });
  run.heal();
  for (int attempt = 0; lost == 0 && attempt < 30 && !run.failed(); attempt++) {
    run.run_for(Duration::seconds(2));
    lost += lose_one(cluster) ? 1 : 0;
  }
  if (lost == 0) run.fail("minimum work", "no safekeeper could lose its disk");
  check_end(cluster);
}

}  // namespace

constinit const Scenario kSafekeeperLoss{"safekeeper-loss",
                                         "a safekeeper may lose its disk while the other two have what it "
                                         "had, and joins again as an operator has it",
                                         safekeeper_loss_body,
                                         {15, 20, 0},
                                         false};

}  // namespace argon::scenarios
