#include "scenarios/membership.h"

#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

constexpr uint64_t kSafekeepers = 5;
constexpr size_t kMembersAtLast = 3;
constexpr int kOperators = 2;
constexpr Duration kLastChange = Duration::seconds(120);

std::vector<NodeId> draw_members(Random& random, size_t count) {
  std::vector<NodeId> all;
  for (uint64_t i = 1; i <= kSafekeepers; i++) all.push_back(NodeId(i));
  while (all.size() > count) all.erase(all.begin() + static_cast<ptrdiff_t>(random.below(all.size())));
  return all;
}

class Operators {
 public:
  explicit Operators(Cluster& cluster) : cluster_(cluster) {}

  void start() {
    for (int i = 0; i < kOperators; i++)
      cluster_.operators().spawn("operator", [this, i](Task& task) { return work(task, i); });
  }
  void stop() { stopped_ = true; }
  uint64_t changed() const { return changed_; }

 private:
  Status work(Task& task, int number) {
    Random& random = task.env().random("operator " + std::to_string(number));
    while (!stopped_) {
      TRY(task.sleep(random.exponential(Duration::seconds(2))));
      if (!cluster_.run().may_operate()) continue;
      const Line& line = *cluster_.lines()[random.below(cluster_.lines().size())];
      safekeeper::Migration migration = cluster_.migration(line);
      migration.target = draw_members(random, random.chance({2, 3}) ? kMembersAtLast : random.between(1, 4));
      Deadline deadline(task, Duration::milliseconds(static_cast<int64_t>(random.log_uniform(200, 20'000))));
      sim::BucketStore store = cluster_.wal_store();
      auto done = safekeeper::migrate(task, store, migration);
      if (done.is(Code::Cancelled)) return done.error();
      changed_ += done.ok() ? 1 : 0;
    }
    return {};
  }

  Cluster& cluster_;
  bool stopped_ = false;
  uint64_t changed_ = 0;
};

// All lines have the same three at last, as the end that all scenarios share wants it.
void last_change(Cluster& cluster) {
  Run& run = cluster.run();
  std::vector<NodeId> last = draw_members(run.random(), kMembersAtLast);
  for (const auto& line : cluster.lines()) {
    if (!cluster.change_members(*line, last, kLastChange)) return;
  }
  cluster.set_members(last);
}

void membership_body(Run& run) {
  ClusterKnobs knobs;
  knobs.spare_safekeepers = kSafekeepers - 3;
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  Operators operators(cluster);
  operators.start();
  live_with_branches(cluster);
  operators.stop();
  run.heal();
  run.run_for(Duration::seconds(30));
  if (run.failed()) return;
  last_change(cluster);
  if (!run.failed() && operators.changed() == 0 && !run.idles())
    run.fail("minimum work", "no change of members ended");
  if (!run.failed()) check_end(cluster);
}

}  // namespace

constinit const Scenario kMembership{
    "membership",
    "a timeline's safekeepers may be replaced while commits go on, by operators that give up anywhere",
    membership_body,
    {20, 20, 0},
    false};

}  // namespace argon::scenarios
