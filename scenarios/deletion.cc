#include "scenarios/deletion.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "scenarios/cluster_run.h"
#include "scenarios/oracle_deleted.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 4;
constexpr Duration kLookInterval = Duration::milliseconds(50);
constexpr Duration kEndLimit = Duration::seconds(240);
// An object may be put so much later, and is looked for at intervals that double.
constexpr Duration kLatest = Duration::seconds(31);
constexpr Duration kQuiet = Duration::seconds(70);
constexpr faults::Kind kLosses[] = {faults::Kind::UnsyncedDataLost, faults::Kind::UnsyncedNamesLost};

class Operators {
 public:
  explicit Operators(Cluster& cluster) : cluster_(cluster), run_(cluster.run()) {}

  void start() {
    cluster_.operators().spawn("probe", [this](Task& task) { return probe(task); });
    look();
  }
  void stop() { stopped_ = true; }
  bool has_deleted() const { return !doomed_.empty(); }
  uint64_t acknowledged() const {
    return static_cast<uint64_t>(std::ranges::count_if(doomed_, &Doomed::by_pageserver));
  }
  uint64_t probes() const { return probes_; }

  // A line without branches; somebody may ask for a branch of it at the same moment. The first branch stays,
  // so that there is one of the root for ever.
  void delete_a_leaf() {
    std::vector<Line*> leaves;
    for (size_t i = 2; i < cluster_.lines().size(); i++)
      if (!has_branches(*cluster_.lines()[i])) leaves.push_back(cluster_.lines()[i].get());
    if (leaves.empty()) return;
    Line& line = *leaves[run_.random().below(leaves.size())];
    Lsn lsn = std::max(line.branch_point, line.events->durable());
    doomed_.push_back({line.id, line.name, line.reference.get(), lsn, nullptr, false, {}});
    Doomed& doomed = doomed_.back();
    cluster_.give_up(line);
    if (run_.random().chance({1, 3})) ask_for_branch(doomed);
    Duration patience = Duration::milliseconds(static_cast<int64_t>(run_.random().log_uniform(20, 20'000)));
    int attempts = static_cast<int>(run_.random().between(1, 3));
    cluster_.operators().spawn("delete", [this, &doomed, patience, attempts](Task& task) -> Status {
      for (int i = 0; i < attempts; i++) {
        Deadline deadline(task, patience);
        Status deleted = carry_out(task, doomed);
        if (deleted.ok() || deleted.is(Code::Cancelled)) return deleted;
      }
      return {};
    });
  }

  // Of the root, which has a branch, or of a timeline that there never was.
  void ask_for_what_is_refused() {
    TimelineId id = random_timeline_id(run_.random());
    Code wanted = Code::NotFound;
    if (cluster_.lines().size() > 1 && run_.random().chance({2, 3})) {
      id = cluster_.lines().front()->id.timeline;
      wanted = Code::Stale;
    }
    std::string path = "/v1/tenant/" + to_string(cluster_.tenant()) + "/timeline/" + to_string(id);
    cluster_.operators().spawn("refused", [this, path, wanted](Task& task) -> Status {
      Deadline deadline(task, Duration::seconds(5));
      auto answer = http::fetch_json(task, cluster_.management(), "DELETE", path, nullptr);
      bool told = answer.ok() || answer.is(Code::NotFound) || answer.is(Code::Stale);
      if (told && !answer.is(wanted))
        run_.fail("a timeline with branches is not deleted",
                  path + (answer.ok() ? " was accepted" : ": " + answer.error().to_string()));
      return answer.is(Code::Cancelled) ? Status(answer.error()) : Status();
    });
  }

  // What was begun, to its end; branches before what they are of. All is healed.
  void finish() {
    Status done = run_.world().run(
        cluster_.operators(),
        [this](Task& task) -> Status {
          // Those asked for first are branches of later ones, if of any.
          for (Doomed& doomed : doomed_) TRY(finish(task, doomed));
          return {};
        },
        kEndLimit);
    if (!done.ok()) run_.fail("a deletion ends", done.error().to_string());
  }

  void check_nothing_is_left(const std::string& when) {
    if (run_.failed()) return;
    for (const Doomed& doomed : doomed_)
      if (std::string left = left_of(cluster_, doomed); !left.empty())
        run_.fail("nothing is left of what was deleted", doomed.name + " " + when + ": " + left);
  }

 private:
  bool has_branches(const Line& line) const {
    return std::ranges::any_of(cluster_.lines(), [&](const auto& other) { return other->parent == &line; });
  }

  Status carry_out(Task& task, Doomed& doomed) {
    safekeeper::DeletionRequest request = cluster_.deletion(doomed.id.timeline);
    request.unknown_too = doomed.reference == nullptr;
    request.acknowledged = [this, &doomed](std::optional<NodeId> by) {
      if (by)
        doomed.by_safekeepers.insert(*by);
      else
        doomed.by_pageserver = true;
      if (doomed.branch != nullptr && !doomed.branch->by_pageserver)
        run_.fail("a timeline with branches is not deleted", doomed.name + " was, though it has a branch");
    };
    return safekeeper::delete_everywhere(task, request);
  }

  // One of the two wins.
  void ask_for_branch(Doomed& parent) {
    TimelineId id = random_timeline_id(run_.random());
    doomed_.push_front(
        {{cluster_.tenant(), id}, "a branch of " + parent.name, nullptr, parent.lsn, nullptr, false, {}});
    const Doomed& branch = doomed_.front();
    nlohmann::json body{{"new_timeline_id", to_string(id)},
                        {"ancestor_timeline_id", to_string(parent.id.timeline)},
                        {"ancestor_start_lsn", to_string(parent.lsn)}};
    Duration late = run_.random().exponential(Duration::milliseconds(50));
    cluster_.operators().spawn("race", [this, &parent, &branch, body, late](Task& task) -> Status {
      TRY(task.sleep(late));
      Deadline deadline(task, Duration::seconds(5));
      std::string path = "/v1/tenant/" + to_string(cluster_.tenant()) + "/timeline";
      bool made = http::fetch_json(task, cluster_.management(), "POST", path, body).ok();
      if (made && parent.by_pageserver && !branch.by_pageserver)
        run_.fail("what was deleted is never served again", parent.name + " was deleted, and has a branch");
      if (made) parent.branch = &branch;
      return {};
    });
  }

  Status finish(Task& task, Doomed& doomed) {
    for (;;) {
      {
        Deadline deadline(task, Duration::seconds(20));
        Status deleted = carry_out(task, doomed);
        if (deleted.ok() || deleted.is(Code::Cancelled)) return deleted;
        // A branch that was asked for, and came: it was made after it was looked at here.
        if (deleted.is(Code::Stale)) TRY(finish_unanswered(task));
      }
      TRY(task.sleep(Duration::milliseconds(500)));
    }
  }

  Status finish_unanswered(Task& task) {
    for (const TimelineId& id : cluster_.unanswered_branches()) {
      safekeeper::DeletionRequest request = cluster_.deletion(id);
      request.unknown_too = true;
      Status deleted = safekeeper::delete_everywhere(task, request);
      if (deleted.is(Code::Cancelled)) return deleted;
    }
    for (Doomed& branch : doomed_) {
      if (branch.reference != nullptr) continue;
      Status deleted = carry_out(task, branch);
      if (deleted.is(Code::Cancelled)) return deleted;
    }
    return {};
  }

  Status probe(Task& task) {
    Random& random = task.env().random("probe");
    while (!stopped_) {
      TRY(task.sleep(random.exponential(Duration::milliseconds(200))));
      if (doomed_.empty()) continue;
      const Doomed& doomed = doomed_[random.below(doomed_.size())];
      TRY_ASSIGN(bool answered, probe_deleted(task, cluster_, doomed, random));
      probes_ += answered ? 1 : 0;
    }
    return {};
  }

  void look() {
    for (const Doomed& doomed : doomed_)
      if (std::string lost = lost_before_the_mark(cluster_, doomed); !lost.empty())
        run_.fail("a deletion is marked first", lost);
    if (!stopped_) run_.world().after(kLookInterval, [this] { look(); });
  }

  Cluster& cluster_;
  Run& run_;
  std::deque<Doomed> doomed_;  // tasks refer to its elements
  uint64_t probes_ = 0;
  bool stopped_ = false;
};

// A part loses power soon after it may have marked something, while the rest of it goes; with all that it has
// not synced.
void crash_one_that_deletes(Cluster& cluster) {
  Run& run = cluster.run();
  Random& random = run.random();
  std::vector<sim::Machine*> parts = cluster.safekeepers();
  sim::Machine& part = random.chance({2, 3}) ? cluster.pageserver() : *parts[random.below(parts.size())];
  run.run_for(random.exponential(Duration::milliseconds(200)));
  if (run.failed() || !part.up()) return;
  for (faults::Kind kind : kLosses) part.faults.begin(kind, 0);
  part.power_loss();
  for (faults::Kind kind : kLosses) part.faults.end(kind);
  run.run_for(random.exponential(Duration::milliseconds(300)));
  if (!run.failed() && !part.up()) part.restart();
}

void live(Cluster& cluster, Operators& operators) {
  Run& run = cluster.run();
  now_and_then(run, run.options().length / 20, [&] {
    uint64_t what = run.random().below(8);
    if (!run.may_operate()) return;
    if (what < 3) maybe_branch(cluster, kMostLines);
    if (what == 7) operators.ask_for_what_is_refused();
    if (what < 3 || what == 7) return;
    operators.delete_a_leaf();
    if (run.random().chance({1, 2}) && run.limited("crashes of those that delete", 1) > 0)
      crash_one_that_deletes(cluster);
  });
}

// Where nothing came of it while faults were on.
void make_one_to_delete(Cluster& cluster, Operators& operators) {
  Run& run = cluster.run();
  Line& root = *cluster.lines().front();
  run.run_until([&] { return !root.events->commits().empty(); }, kProgressLimit);
  while (!run.failed() && !operators.has_deleted() && run.limited("branches", kMostLines - 1) > 1) {
    Line* made = cluster.branch(root, Duration::seconds(60));
    if (made == nullptr) return;
    cluster.add_compute(*made, Duration::seconds(1));
    run.run_for(Duration::seconds(2));
    operators.delete_a_leaf();
  }
}

void restart_all(Cluster& cluster) {
  for (sim::Machine* machine : cluster.safekeepers()) machine->power_loss();
  cluster.pageserver().power_loss();
  for (sim::Machine* machine : cluster.safekeepers())
    if (!machine->up()) machine->restart();
  if (!cluster.pageserver().up()) cluster.pageserver().restart();
}

// The whole tenant, while machines lose power and answers of the object store are lost, or come late.
void delete_tenant(Cluster& cluster) {
  Run& run = cluster.run();
  if (run.failed()) return;
  for (auto& machine : run.world().machines())
    if (machine->name().starts_with("compute-")) machine->power_loss();
  run.world().faults.begin(faults::Kind::StoreLate, 8);
  auto done = std::make_shared<bool>(false);
  cluster.operators().spawn("delete tenant", [&cluster, done](Task& task) -> Status {
    while (!*done) {
      Deadline deadline(task, Duration::seconds(5));
      Status deleted = safekeeper::delete_everywhere(task, cluster.deletion({}));
      if (deleted.is(Code::Cancelled)) return deleted;
      *done = deleted.ok();
    }
    return {};
  });
  for (int i = 0; i < 4; i++) {
    run.run_for(run.random().exponential(Duration::milliseconds(700)));
    restart_all(cluster);
  }
  run.world().faults.end(faults::Kind::StoreLate);
  if (!run.run_until([&] { return *done; }, kEndLimit) && !run.failed())
    run.fail("a deletion ends", "the tenant is still being deleted");
  run.run_for(kQuiet);
  std::string left = run.failed() ? "" : left_of_tenant(cluster);
  if (!left.empty()) run.fail("nothing is left of what was deleted", "of the tenant: " + left);
}

void deletion_body(Run& run) {
  // History that nobody wants is removed, as a run has to fit into its memory.
  ClusterKnobs knobs;
  knobs.gc = true;
  knobs.layer_bytes_max = 32 << 20;
  Cluster cluster(run, knobs);
  Operators operators(cluster);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  operators.start();
  cluster.start_faults();
  live(cluster, operators);
  run.heal();
  make_one_to_delete(cluster, operators);
  operators.finish();
  // Branches whose creation comes late, after what they are of was deleted, are found at a start.
  run.run_for(kLatest);
  if (!run.failed()) restart_all(cluster);
  run.run_for(kQuiet);
  operators.check_nothing_is_left("when all is quiet");
  if (!run.failed()) restart_all(cluster);
  run.run_for(Duration::seconds(5));
  operators.check_nothing_is_left("after a restart");
  operators.stop();
  run.demand("deletions", operators.acknowledged(), 1);
  run.demand("answers about what was deleted", operators.probes(), 5);
  if (run.failed()) return;
  check_end(cluster);
  if (run.random().chance({1, 2})) delete_tenant(cluster);
}

}  // namespace

constinit const Scenario kDeletion{"deletion",
                                   "what was deleted is never served again and leaves nothing, whatever "
                                   "happens meanwhile; what was not is as it was",
                                   deletion_body,
                                   {20, 20, 0},
                                   false};

}  // namespace argon::scenarios
