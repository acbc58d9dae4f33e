#include "scenarios/wal_service.h"

#include "scenarios/interpreted_readers.h"
#include "scenarios/oracle_full_disk.h"
#include "scenarios/tail_damage.h"
#include "scenarios/wal_service_parts.h"

namespace argon::scenarios {
namespace {

constexpr uint64_t kLeastElections = 3;
constexpr int kInterpretedReadersMax = 3;

// Each safekeeper is without power once, for a while, at a time of the seed's; two at once may be.
void plan_power_cuts(Run& run, WalCluster& cluster) {
  Random& random = run.random();
  uint64_t length = static_cast<uint64_t>(run.options().length.ns);
  for (sim::Machine* machine : cluster.safekeepers()) {
    Duration at{static_cast<int64_t>(random.between(length / 10, length / 2))};
    Duration dark{static_cast<int64_t>(random.log_uniform(1'000'000, length / 4))};
    run.world().at(at, [machine] { machine->power_loss(); });
    run.world().at(at + dark, [machine] {
      if (!machine->up()) machine->restart();
    });
  }
}

void check_progress(Run& run, const WalCluster& cluster, const WalLedger& ledger, const std::string& which) {
  if (run.failed()) return;
  uint64_t before = ledger.commits;
  auto done = [&] { return ledger.commits >= before + 5 || !ledger.broken.empty(); };
  if (!run.run_until(done, Duration::seconds(60)))
    run.fail("progress " + which, "fewer than 5 commits in 60 s, with " +
                                      std::to_string(cluster.safekeepers().size()) + " safekeepers");
}

void check_all(Run& run, WalCluster& cluster) {
  for (sim::Machine* machine : cluster.safekeepers()) {
    if (run.failed()) return;
    Status same = run.world().run(cluster.compute(), [&](Task& task) -> Status {
      TRY(cluster.check(task, machine->name()));
      return check_interpreted(task, cluster, machine->name());
    });
    if (!same.ok())
      run.fail("acknowledged is on every safekeeper", machine->name() + ": " + same.error().to_string());
  }
}

void check_work(Run& run, WalCluster& cluster, uint64_t elections) {
  if (run.failed()) return;
  if (elections < kLeastElections)
    run.fail("minimum work", "elections: " + std::to_string(elections) + ", at least " +
                                 std::to_string(kLeastElections) + " wanted");
  for (sim::Machine* machine : cluster.safekeepers())
    if (machine->boots() < 3)
      run.fail("minimum work", machine->name() + " was started " + std::to_string(machine->boots()) +
                                   " times; once, after a cut while it had work, and at the end are wanted");
}

void wal_service(Run& run) {
  WalCluster cluster(run.world());
  WalLedger& ledger = cluster.ledger();
  Random& random = run.random();
  // So that even the longest terms make more than the least number of elections.
  Duration longest = run.options().length / 8;
  cluster.set_term_length(Duration::milliseconds(
      static_cast<int64_t>(random.log_uniform(500, static_cast<uint64_t>(longest.to_milliseconds())))));
  auto stop = std::make_shared<bool>(false);
  auto ended = std::make_shared<bool>(false);
  cluster.compute().spawn("writer", [&run, &cluster, stop, ended](Task& task) -> Status {
    TRY(cluster.write(task, [stop] { return *stop; }, [&run] { return run.may_operate(); }));
    const std::string& broken = cluster.ledger().broken;
    if (!broken.empty()) run.fail("acknowledged is never lost", broken);
    *ended = true;
    return {};
  });
  cluster.compute().spawn("full disks",
                          [&run, &cluster](Task& task) { return watch_full_disks(task, run, cluster); });
  if (run.random().fork("tail damage").chance({1, 2}))
    cluster.compute().spawn("tail damage",
                            [&run, &cluster](Task& task) { return damage_tails(task, run, cluster); });
  auto readers = static_cast<int>(run.random().fork("interpreted readers").below(kInterpretedReadersMax + 1));
  for (int number = 1; number <= readers; number++)
    cluster.compute().spawn(
        "interpreted reader " + std::to_string(number),
        [&run, &cluster, number](Task& task) { return read_interpreted(task, run, cluster, number); });
  plan_power_cuts(run, cluster);
  std::vector<std::string> nodes{"broker"};
  for (sim::Machine* machine : cluster.safekeepers()) nodes.push_back(machine->name());
  run.start_faults(nodes, run.options().length);
  run.run_for(run.options().length);
  size_t left_out = random.below(cluster.safekeepers().size());
  std::string rest = cluster.safekeepers()[left_out]->name();
  std::vector<std::string> core{"compute"};
  for (const std::string& node : nodes)
    if (node != rest) core.push_back(node);
  run.work().commits_acked = ledger.commits;
  run.heal_core(core, {rest}, {});
  check_progress(run, cluster, ledger, "of a core");
  run.heal();
  // Nothing counts that only a memory holds.
  for (sim::Machine* machine : cluster.safekeepers()) {
    machine->power_loss();
    machine->restart();
  }
  check_progress(run, cluster, ledger, "after healing");
  *stop = true;
  if (!run.failed() && !run.run_until([&] { return *ended; }, Duration::seconds(60)))
    run.fail("progress after healing", "the last WAL is not everywhere within 60 s");
  check_all(run, cluster);
  run.work().commits_acked = ledger.commits;
  check_work(run, cluster, ledger.elections);
}

}  // namespace

constinit const Scenario kWalService{
    "wal-service",
    "every safekeeper comes to have exactly what was acknowledged, and gives it to PostgreSQL's own readers",
    wal_service,
    {100, 0, 0},
    false};

}  // namespace argon::scenarios
