#include "scenarios/cluster.h"

#include "scenarios/cluster_run.h"
#include "scenarios/oracle_progress.h"
#include "scenarios/oracle_remote.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 3;

// The pageserver loses power soon after a branch was made: the parent has to come back to the branch point
// while the branch is read already.
void crash_pageserver(Cluster& cluster) {
  Run& run = cluster.run();
  Random& random = run.random();
  run.run_for(random.exponential(Duration::milliseconds(400)));
  if (run.failed() || !cluster.pageserver().up()) return;
  cluster.pageserver().power_loss();
  run.run_for(random.exponential(Duration::milliseconds(300)));
  if (!run.failed() && !cluster.pageserver().up()) cluster.pageserver().restart();
}

// Until the end of the time: branches now and then, each with a compute of its own.
void live(Cluster& cluster, Duration until) {
  Run& run = cluster.run();
  Random& random = run.random();
  Duration pause = until / 6;
  uint64_t most_lines = 1 + run.limited("branches", kMostLines - 1);
  while (!run.failed() && run.world().now() < until) {
    run.run_for(std::min(random.exponential(pause), until - run.world().now()));
    if (run.failed() || run.world().now() >= until || cluster.lines().size() >= most_lines) continue;
    Line& parent = *cluster.lines()[random.below(cluster.lines().size())];
    Line* made = cluster.branch(parent, std::min(Duration::seconds(10), until - run.world().now()));
    bool writes = random.below(4) != 0;
    bool crash = random.below(3) == 0;
    if (made != nullptr && writes) cluster.add_compute(*made, Duration::seconds(1));
    if (made != nullptr && crash && run.limited("crashes after branches", 1) > 0) crash_pageserver(cluster);
  }
}

// A branch can be made while only the core is there, and is like any other later.
void check_branch(Cluster& cluster, Line& parent) {
  Run& run = cluster.run();
  if (run.failed()) return;
  Line* made = cluster.branch(parent, Duration::seconds(60));
  if (made == nullptr && !parent.events->commits().empty())
    run.fail("progress of a core", "no branch can be made within 60 s");
}

void cluster_body(Run& run) {
  ClusterKnobs knobs;
  knobs.gc = run.random().fork("with gc").chance({1, 2});
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  Random& random = run.random();
  Line& root = *cluster.lines().front();
  cluster.add_compute(root, Duration::seconds(1));
  // Two at once for one timeline: they take it from each other now and then.
  bool rival = random.below(3) == 0;
  if (rival && run.limited("rivals", 1) > 0) cluster.add_compute(root, Duration::seconds(15));
  watch_remote(cluster);
  cluster.start_faults();
  live(cluster, run.options().length);
  cluster.heal_core();
  if (run.limited("branches", kMostLines - 1) > 0) check_branch(cluster, root);
  check_progress(cluster, "of a core", kProgressLimit);
  run.heal();
  check_end(cluster);
}

}  // namespace

constinit const Scenario kCluster{
    "cluster",
    "nothing acknowledged is lost and every page is right, whatever happens to the parts of a cluster",
    cluster_body,
    {30, 60, 1},
    false};

}  // namespace argon::scenarios
