#include "scenarios/membership.h"

#include <set>

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_progress.h"

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
  uint64_t begun() const { return begun_; }
  // A change under way is to have it as a member.
  bool wants(NodeId id) const { return wanted_.contains(id); }

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
      begun_++;
      auto wanted = std::multiset<NodeId>(migration.target.begin(), migration.target.end());
      wanted_.insert(wanted.begin(), wanted.end());
      auto done = safekeeper::migrate(task, store, migration);
      for (NodeId id : wanted) wanted_.erase(wanted_.find(id));
      if (done.is(Code::Cancelled)) return done.error();
      changed_ += done.ok() ? 1 : 0;
    }
    return {};
  }

  Cluster& cluster_;
  bool stopped_ = false;
  uint64_t changed_ = 0;
  uint64_t begun_ = 0;
  std::multiset<NodeId> wanted_;
};

// Who is a member of nothing is switched off, as `argon safekeeper replace` does it, and can tell nobody who
// is; who is to be one again comes back.
class Machines {
 public:
  Machines(Cluster& cluster, const Operators& operators) : cluster_(cluster), operators_(operators) {}

  // From outside of tasks.
  void look() {
    uint64_t begun = operators_.begun();
    std::optional<std::set<NodeId>> members = read_members();
    if (!members || cluster_.run().failed()) return;
    bool as_read = begun == operators_.begun();
    for (uint64_t i = 1; i <= kSafekeepers; i++) {
      bool needed = members->contains(NodeId(i)) || operators_.wants(NodeId(i));
      sim::Machine& machine = *cluster_.safekeepers()[i - 1];
      if (needed && !machine.powered()) machine.restart();
      if (!needed && as_read && machine.up()) {
        machine.power_loss();
        switched_off_++;
      }
    }
  }
  void all_back() {
    for (sim::Machine* machine : cluster_.safekeepers())
      if (!machine->powered()) machine->restart();
  }
  uint64_t switched_off() const { return switched_off_; }

 private:
  // Of all lines. Nothing where that was not answered.
  std::optional<std::set<NodeId>> read_members() {
    std::set<NodeId> members;
    Status done = cluster_.run().world().run(
        cluster_.operators(),
        [&](Task& task) -> Status {
          Deadline deadline(task, Duration::seconds(5));
          for (size_t i = 0; i < cluster_.lines().size(); i++) {
            TRY_ASSIGN(consensus::Configuration decided,
                       cluster_.decided_members(task, *cluster_.lines()[i]));
            members.merge(decided.ids());
          }
          return {};
        },
        Duration::seconds(30));
    return done.ok() ? std::optional(members) : std::nullopt;
  }

  Cluster& cluster_;
  const Operators& operators_;
  uint64_t switched_off_ = 0;
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
  Machines machines(cluster, operators);
  operators.start();
  live_with_branches(cluster, [&] { machines.look(); });
  operators.stop();
  machines.all_back();
  run.run_for(Duration::seconds(30));
  if (run.failed()) return;
  // Changes that were given up are brought to an end, so that nobody waits for an operator.
  for (const auto& line : cluster.lines())
    if (!cluster.change_members(*line, draw_members(run.random(), kMembersAtLast), kLastChange)) return;
  machines.look();
  check_progress(cluster, "with members alone", kProgressLimit);
  if (run.failed()) return;
  machines.all_back();
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
