#include "scenarios/archive.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "scenarios/cluster_run.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 5;
constexpr Duration kEndLimit = Duration::seconds(240);
constexpr Duration kClearLimit = Duration::seconds(60);

std::string path_of(const Line& line) {
  return "/v1/tenant/" + to_string(line.id.tenant) + "/timeline/" + to_string(line.id.timeline);
}

class Operators {
 public:
  explicit Operators(Cluster& cluster) : cluster_(cluster), run_(cluster.run()) {}

  void start() {
    cluster_.operators().spawn("probe", [this](Task& task) { return probe(task); });
  }

  // Some line, there or back; it may go on without an answer.
  void change_one() {
    uint64_t which = run_.random().below(cluster_.lines().size());
    // Without the root nothing else can be done.
    const Line& root = *cluster_.lines().front();
    if (known(root, true)) which = 0;
    const Line& line = *cluster_.lines()[which];
    bool archive = !known(line, true);
    if (&line != &root && run_.random().chance({1, 5})) archive = !archive;
    if (&line == &root && archive && run_.random().chance({1, 2})) return;
    bool patient = run_.random().chance({3, 4});
    Duration patience = Duration::milliseconds(static_cast<int64_t>(run_.random().log_uniform(20, 20'000)));
    if (patient) patience = Duration::seconds(100);
    if (told_[&line].asking || !run_.may_operate()) return;
    told_[&line].asking = true;
    cluster_.operators().spawn("archive", [this, &line, archive, patience](Task& task) -> Status {
      Status asked = [&] {
        Deadline deadline(task, patience);
        return ask(task, line, archive);
      }();
      told_[&line].asking = false;
      return asked.is(Code::Cancelled) ? asked : Status();
    });
  }

  // The root has branches, archived ones too: it must stay.
  void delete_what_has_branches() {
    if (cluster_.lines().size() < 2) return;
    cluster_.operators().spawn("refused", [this](Task& task) -> Status {
      Deadline deadline(task, Duration::seconds(5));
      std::string path = path_of(*cluster_.lines().front());
      auto answer = http::fetch_json(task, cluster_.management(), "DELETE", path, nullptr);
      if (answer.ok()) run_.fail("a timeline with branches is not deleted", path + " was accepted");
      return answer.is(Code::Cancelled) ? Status(answer.error()) : Status();
    });
  }

  // All is healed: what is archived takes no room, is archived after another start, and comes back.
  void finish() {
    wait_for_the_last();
    if (!run_.failed() && times_archived_ == 0) archive_one();
    check_no_files();
    cluster_.pageserver().power_loss();
    if (!cluster_.pageserver().up()) cluster_.pageserver().restart();
    in_operators("what is archived stays so", [this](Task& task) { return look_at_all(task); });
    in_operators("an archived timeline comes back", [this](Task& task) { return bring_all_back(task); });
    stopped_ = true;
  }

  uint64_t times_archived() const { return times_archived_; }

 private:
  struct Told {
    std::optional<bool> archived = false;  // none: not known
    bool asking = false;
    uint64_t changes = 0;
    // The pageserver's life in which an answer was lost: it may still carry that request out, at any time.
    std::optional<uint32_t> doubtful_in;
  };

  bool known(const Line& line, bool archived) {
    const Told& told = told_[&line];
    return !told.asking && told.archived == archived;
  }

  void in_operators(const std::string& oracle, const std::function<Status(Task&)>& work) {
    if (run_.failed()) return;
    Status done = run_.world().run(cluster_.operators(), work, kEndLimit);
    if (!done.ok()) run_.fail(oracle, done.error().to_string());
  }

  Status ask(Task& task, const Line& line, bool archive) {
    Told& told = told_[&line];
    std::optional<bool> before = std::exchange(told.archived, std::nullopt);
    told.changes++;
    std::map<const Line*, uint64_t> others;
    for (const auto& [other, of_other] : told_) others[other] = of_other.changes;
    nlohmann::json body{{"state", archive ? "Archived" : "Unarchived"}};
    auto answer =
        http::fetch_json(task, cluster_.management(), "PUT", path_of(line) + "/archival_config", body);
    Logger(task.env().log())
        .info("{} {}: {}", archive ? "archive" : "bring back", line.name,
              answer.ok() ? "done" : answer.error().to_string());
    if (answer.is(Code::Stale)) told.archived = before;
    if (!answer.ok() && !answer.is(Code::Stale)) told.doubtful_in = cluster_.pageserver().boots();
    if (!answer.ok()) return answer.error();
    if (told.doubtful_in != cluster_.pageserver().boots()) told.archived = archive;
    times_archived_ += archive ? 1 : 0;
    for (const auto& other : cluster_.lines()) {
      // What was the same all the time.
      auto then = others.find(other.get());
      if (then == others.end() || then->second != told_[other.get()].changes) continue;
      if (archive && other->parent == &line && known(*other, false))
        run_.fail("a timeline with a branch in use is not archived",
                  line.name + ", of which is " + other->name);
      if (!archive && line.parent == other.get() && known(*other, true))
        run_.fail("none comes back before its ancestor", line.name + ", a branch of " + other->name);
    }
    return {};
  }

  // Whoever knows what a line is sees the pageserver say the same.
  Status look_at(Task& task, const Line& line) {
    const Told& told = told_[&line];
    uint64_t changes = told.changes;
    if (told.asking || !told.archived) return {};
    bool archived = *told.archived;
    auto shown = http::fetch_json(task, cluster_.management(), "GET", path_of(line), nullptr);
    auto used = http::fetch_json(task, cluster_.management(), "PUT", path_of(line) + "/compact", nullptr);
    if (shown.is(Code::Cancelled)) return shown.error();
    if (used.is(Code::Cancelled)) return used.error();
    if (told.changes != changes) return {};
    if (shown.ok() && shown->value("is_archived", false) != archived)
      run_.fail("a timeline is archived or not, as was told", line.name + ": " + shown->dump());
    if (used.ok() && archived) run_.fail("an archived timeline is not served", line.name);
    return shown.ok() ? Status() : Status(shown.error());
  }

  Status probe(Task& task) {
    Random& random = task.env().random("probe");
    while (!stopped_) {
      TRY(task.sleep(random.exponential(Duration::milliseconds(300))));
      const Line& line = *cluster_.lines()[random.below(cluster_.lines().size())];
      Deadline deadline(task, Duration::seconds(10));
      Status looked = look_at(task, line);
      if (looked.is(Code::Cancelled)) return looked;
    }
    return {};
  }

  Status look_at_all(Task& task) {
    for (const auto& line : cluster_.lines()) {
      for (;;) {
        {
          Deadline deadline(task, Duration::seconds(30));
          Status looked = look_at(task, *line);
          if (looked.is(Code::Cancelled)) return looked;
          if (looked.ok()) break;
        }
        TRY(task.sleep(Duration::milliseconds(300)));
      }
    }
    return {};
  }

  void wait_for_the_last() {
    auto idle = [&] {
      return std::ranges::none_of(told_, [](const auto& one) { return one.second.asking; });
    };
    if (!run_.run_until(idle, kEndLimit)) run_.fail("an answer comes", "none in 240 s");
  }

  // A line without branches, to its end; a branch that was asked for in vain may have come.
  void archive_one() {
    const Line& line = *cluster_.lines().back();
    in_operators("a timeline without branches can be archived", [&](Task& task) -> Status {
      for (const TimelineId& id : cluster_.unanswered_branches()) {
        safekeeper::DeletionRequest request = cluster_.deletion(id);
        request.unknown_too = true;
        TRY(safekeeper::delete_everywhere(task, request));
      }
      return until_done(task, line, true);
    });
  }

  void check_no_files() {
    for (const auto& line : cluster_.lines()) {
      if (run_.failed() || !known(*line, true)) continue;
      std::string folder =
          "/layers/tenants/" + to_string(line->id.tenant) + "/timelines/" + to_string(line->id.timeline);
      auto gone = [&] { return cluster_.pageserver().storage().find(folder) == nullptr; };
      if (!run_.run_until(gone, kClearLimit))
        run_.fail("an archived timeline takes no room", line->name + ": " + folder + " is there");
    }
  }

  Status until_done(Task& task, const Line& line, bool archive) {
    for (;;) {
      {
        Deadline deadline(task, Duration::seconds(30));
        Status asked = ask(task, line, archive);
        if (asked.ok() || asked.is(Code::Cancelled)) return asked;
      }
      TRY(task.sleep(Duration::milliseconds(300)));
    }
  }

  // A line comes after what it is a branch of.
  Status bring_all_back(Task& task) {
    for (const auto& line : cluster_.lines()) TRY(until_done(task, *line, false));
    return {};
  }

  Cluster& cluster_;
  Run& run_;
  std::map<const Line*, Told> told_;
  uint64_t times_archived_ = 0;
  bool stopped_ = false;
};

// What is below it is read through a timeline that may be archived.
void branch_below_a_beginning(Cluster& cluster) {
  Run& run = cluster.run();
  if (cluster.lines().size() >= 1 + run.limited("branches", kMostLines - 1)) return;
  Line& parent = *cluster.lines()[run.random().below(cluster.lines().size())];
  if (parent.parent == nullptr) return;
  Line* made = cluster.branch_below_its_beginning(parent, Duration::seconds(10));
  if (made != nullptr) cluster.add_compute(*made, Duration::seconds(1));
}

void step(Cluster& cluster, Operators& operators) {
  uint64_t what = cluster.run().random().below(13);
  if (what < 6)
    operators.change_one();
  else if (what < 8)
    maybe_branch(cluster, kMostLines);
  else if (what < 9)
    branch_below_a_beginning(cluster);
  else if (what < 10)
    operators.delete_what_has_branches();
  else
    ask_for_work(cluster);
}

void archive_body(Run& run) {
  ClusterKnobs knobs;
  knobs.small_layers = run.random().fork("small layers").chance({1, 2});
  knobs.gc = true;
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  cluster.start_faults();
  Operators operators(cluster);
  operators.start();
  now_and_then(run, run.options().length / 40, [&] { step(cluster, operators); });
  run.heal();
  operators.finish();
  // Computes of what was archived begin only now.
  run.run_for(Duration::seconds(30));
  run.demand("archived timelines", operators.times_archived(), 1);
  if (!run.failed()) check_end(cluster);
}

}  // namespace

constinit const Scenario kArchive{
    "archive",
    "an archived timeline is not served, holds what it reads of others, and comes back as it was",
    archive_body,
    {20, 20, 0},
    false};

}  // namespace argon::scenarios
