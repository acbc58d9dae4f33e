#include "scenarios/cluster_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "scenarios/oracle_branches.h"
#include "scenarios/oracle_progress.h"
#include "scenarios/oracle_rebuild.h"
#include "scenarios/oracle_same_wal.h"
#include "scenarios/oracle_wal_chain.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 3;

void stop_computes(Cluster& cluster) {
  Run& run = cluster.run();
  auto is_compute = [](const sim::Machine& machine) { return machine.name().starts_with("compute-"); };
  for (auto& machine : run.world().machines()) {
    if (!is_compute(*machine)) continue;
    machine->end_supervision();
    machine->ask_to_stop();
  }
  auto stopped = [&] {
    for (auto& machine : run.world().machines())
      if (is_compute(*machine) && machine->up()) return false;
    return true;
  };
  if (!run.run_until(stopped, Duration::seconds(60)))
    run.fail("orderly stop", "a compute does not stop in 60 s");
}

}  // namespace

void start_faults_of(Run& run, const std::vector<faults::Kind>& kinds,
                     const std::vector<std::string>& nodes) {
  std::vector<faults::Kind> never;
  for (const faults::KindInfo& about : faults::all_kinds())
    if (std::ranges::find(kinds, about.kind) == kinds.end()) never.push_back(about.kind);
  faults::Plan plan;
  // Families are off in half of all plans.
  for (int attempt = 0; attempt < 30 && plan.faults.empty(); attempt++) {
    Random random = run.world().stream("fault plan " + std::to_string(attempt));
    plan = faults::draw_plan(random, {nodes, run.options().length, never});
  }
  run.start_plan(std::move(plan));
}

void now_and_then(Run& run, Duration apart, const std::function<void()>& act) {
  Duration end = run.options().length;
  while (!run.failed() && run.world().now() < end) {
    Duration pause = run.random().exponential(apart);
    run.run_for(std::min(pause, end - run.world().now()));
    if (!run.failed() && run.world().now() < end) act();
  }
}

void maybe_branch(Cluster& cluster, size_t most_lines) {
  Run& run = cluster.run();
  if (cluster.lines().size() >= 1 + run.limited("branches", most_lines - 1)) return;
  Line& parent = *cluster.lines()[run.random().below(cluster.lines().size())];
  Line* made = cluster.branch(parent, Duration::seconds(10));
  if (made != nullptr) cluster.add_compute(*made, Duration::seconds(1));
}

void ask_for_work(Cluster& cluster) {
  Run& run = cluster.run();
  const Line& line = *cluster.lines()[run.random().below(cluster.lines().size())];
  // Without a short history GC finds nothing.
  std::vector<const char*> what{"/compact", "/checkpoint"};
  if (cluster.gc()) what.insert(what.end(), {"/do_gc", "/do_gc"});
  std::string path = "/v1/tenant/" + to_string(cluster.tenant()) + "/timeline/" +
                     to_string(line.id.timeline) + what[run.random().below(what.size())];
  cluster.operators().spawn("ask", [&cluster, path](Task& task) -> Status {
    Deadline deadline(task, Duration::seconds(20));
    ignore_result(http::fetch_json(task, cluster.management(), "PUT", path, nullptr));
    return {};
  });
}

void live_with_branches(Cluster& cluster, const std::function<void()>& also) {
  Run& run = cluster.run();
  cluster.start_faults();
  if (also == nullptr)
    now_and_then(run, run.options().length / 6, [&] { maybe_branch(cluster, kMostLines); });
  else
    now_and_then(run, run.options().length / 36,
                 [&] { run.random().chance({1, 6}) ? maybe_branch(cluster, kMostLines) : also(); });
  run.heal();
  Line& root = *cluster.lines().front();
  bool wanted = cluster.lines().size() == 1 && run.limited("branches", kMostLines - 1) > 0;
  run.run_until([&] { return !root.events->commits().empty(); }, kProgressLimit);
  Line* made = wanted && !run.failed() ? cluster.branch(root, Duration::seconds(60)) : nullptr;
  if (made != nullptr) cluster.add_compute(*made, Duration::seconds(1));
  run.run_for(Duration::seconds(5));
}

void replace_disk(sim::Machine& machine) {
  machine.power_loss();
  machine.storage().wipe();
  if (!machine.up()) machine.restart();
}

void check_end(Cluster& cluster) {
  Run& run = cluster.run();
  check_progress(cluster, "after healing", kProgressLimit);
  if (run.store_was_away()) run.run_until([&] { return run.missing_work().empty(); }, kProgressLimit);
  check_all_pages(cluster, "while computes go on");
  if (!run.failed()) stop_computes(cluster);
  check_all_pages(cluster, "after computes stopped");
  if (!run.failed()) check_same_wal(cluster);
  if (!run.failed()) check_wal_chains(cluster);
  check_rebuild(cluster);
}

void heal_and_check(Cluster& cluster) {
  cluster.run().heal();
  check_end(cluster);
}

}  // namespace argon::scenarios
