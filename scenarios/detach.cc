#include "scenarios/detach.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "scenarios/cluster_run.h"
#include "scenarios/lease_holders.h"
#include "scenarios/oracle_branches.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 5;
constexpr uint64_t kLeaseHolders = 10;
constexpr Duration kEndLimit = Duration::seconds(240);

std::string path_of(const Line& line) {
  return "/v1/tenant/" + to_string(line.id.tenant) + "/timeline/" + to_string(line.id.timeline);
}

class Operators {
 public:
  explicit Operators(Cluster& cluster) : cluster_(cluster), run_(cluster.run()) {}

  // Some branch; it may go on without an answer.
  void detach_one() {
    Line& line = *cluster_.lines()[run_.random().below(cluster_.lines().size())];
    if (line.parent == nullptr || !run_.may_operate()) return;
    // Nobody holds its branch point once it is a root.
    line.at_branch.reset();
    if (std::ranges::find(asked_, &line) == asked_.end()) asked_.push_back(&line);
    auto patience = Duration::milliseconds(static_cast<int64_t>(run_.random().log_uniform(20, 20'000)));
    cluster_.operators().spawn("detach", [this, &line, patience](Task& task) -> Status {
      Deadline deadline(task, patience);
      return ask(task, line);
    });
  }

  // All that was begun, to its end; and one at least. All is healed.
  void finish() {
    for (int i = 0; i < 20 && asked_.empty() && cluster_.lines().size() > 1; i++) detach_one();
    Status done = run_.world().run(
        cluster_.operators(),
        [this](Task& task) -> Status {
          for (Line* line : asked_) {
            while (!is_detached(*line)) {
              {
                Deadline deadline(task, Duration::seconds(30));
                TRY(ask(task, *line));
              }
              TRY(task.sleep(Duration::milliseconds(300)));
            }
            TRY(check_is_root(task, *line));
          }
          return {};
        },
        kEndLimit);
    if (!done.ok()) run_.fail("a detach ends", done.error().to_string());
  }

  // A timeline of which all branches were detached; its computes stop. Not the first: the cluster's end is of
  // it.
  void delete_an_ancestor() {
    for (size_t i = 1; i < cluster_.lines().size() && !run_.failed(); i++) {
      Line& line = *cluster_.lines()[i];
      if (!had_branches(line) || has_branches(line)) continue;
      cluster_.give_up(line);
      Status deleted = run_.world().run(
          cluster_.operators(),
          [&](Task& task) -> Status {
            // Branches that were asked for, and may have come all the same.
            for (const TimelineId& id : cluster_.unanswered_branches()) {
              safekeeper::DeletionRequest request = cluster_.deletion(id);
              request.unknown_too = true;
              TRY(safekeeper::delete_everywhere(task, request));
            }
            return safekeeper::delete_everywhere(task, cluster_.deletion(line.id.timeline));
          },
          kEndLimit);
      if (!deleted.ok()) run_.fail("what has no branches can be deleted", deleted.error().to_string());
      return;
    }
  }

  uint64_t detached() const { return detached_.size(); }

 private:
  // Error: Cancelled.
  Status ask(Task& task, Line& line) {
    auto answer =
        http::fetch_json(task, cluster_.management(), "PUT", path_of(line) + "/detach_ancestor", nullptr);
    if (answer.ok() && !is_detached(line)) detached_.push_back(&line);
    if (!answer.ok() && !answer.is(Code::Cancelled))
      Logger(task.env().log()).info("detach {}: {}", line.name, answer.error().to_string());
    return answer.is(Code::Cancelled) ? Status(answer.error()) : Status();
  }

  Status check_is_root(Task& task, const Line& line) {
    for (;;) {
      auto shown = http::fetch_json(task, cluster_.management(), "GET", path_of(line), nullptr);
      if (shown.is(Code::Cancelled)) return shown.error();
      if (shown.ok()) {
        if (shown->contains("ancestor_timeline_id"))
          run_.fail("what is detached stays so", line.name + " has an ancestor again");
        return {};
      }
      TRY(task.sleep(Duration::milliseconds(300)));
    }
  }

  bool is_detached(const Line& line) const { return std::ranges::find(detached_, &line) != detached_.end(); }
  bool had_branches(const Line& line) const {
    return std::ranges::any_of(cluster_.lines(), [&](const auto& other) { return other->parent == &line; });
  }
  bool has_branches(const Line& line) const {
    return std::ranges::any_of(
        cluster_.lines(), [&](const auto& other) { return other->parent == &line && !is_detached(*other); });
  }

  Cluster& cluster_;
  Run& run_;
  std::vector<Line*> asked_;
  std::vector<const Line*> detached_;
};

void step(Cluster& cluster, Operators& operators, LeaseHolders& leases) {
  uint64_t what = cluster.run().random().below(12);
  if (what < 4)
    operators.detach_one();
  else if (what < 7)
    maybe_branch(cluster, kMostLines);
  else if (what < 10)
    leases.add();
  else
    ask_for_work(cluster);
}

void detach_body(Run& run) {
  ClusterKnobs knobs;
  knobs.small_layers = run.random().fork("small layers").chance({1, 2});
  knobs.gc = true;
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  cluster.start_faults();
  Operators operators(cluster);
  LeaseHolders leases(cluster, run.limited("leases", kLeaseHolders));
  now_and_then(run, run.options().length / 30, [&] { step(cluster, operators, leases); });
  run.heal();
  Line& root = *cluster.lines().front();
  run.run_until([&] { return !root.events->commits().empty(); }, kProgressLimit);
  if (cluster.lines().size() == 1 && run.limited("branches", kMostLines - 1) > 0 && !run.failed())
    if (Line* made = cluster.branch(root, Duration::seconds(60)))
      cluster.add_compute(*made, Duration::seconds(1));
  if (!run.failed()) operators.finish();
  if (!run.failed()) operators.delete_an_ancestor();
  run.demand("detached branches", operators.detached(), 1);
  if (!run.failed()) check_end(cluster);
}

}  // namespace

constinit const Scenario kDetach{
    "detach",
    "a branch that is detached from its ancestors reads as before, and they can go",
    detach_body,
    {20, 20, 0},
    false};

}  // namespace argon::scenarios
