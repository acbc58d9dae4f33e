#include "scenarios/control_api.h"

#include <nlohmann/json.hpp>
#include <set>

#include "core/http/client.h"
#include "scenarios/cluster_run.h"
#include "scenarios/linearizability.h"

namespace argon::scenarios {
namespace {

constexpr size_t kNames = 6;
constexpr size_t kClients = 3;

const char* const kDeleted = "deleted";

// What one name must do: absent, then a branch at an LSN, then deleted for ever. Asking again for the same is
// fine.
std::optional<std::string> step(const std::string& state, const Operation& o) {
  bool known = o.ret != Operation::kNever;
  bool there = !state.empty() && state != kDeleted;
  if (o.kind == "show")
    return !known || o.output == (there ? state : "absent") ? std::optional(state) : std::nullopt;
  if (o.kind == "delete") {
    if (!known) return there ? kDeleted : state;
    // As long as it goes on, it is said again.
    if (o.output == kDeleted) return state.empty() ? std::nullopt : std::optional<std::string>(kDeleted);
    return there ? std::nullopt : std::optional(state);
  }
  std::string after = state.empty() ? o.input : state;
  if (!known) return after;
  if (o.output == "another exists")
    return !state.empty() && state != o.input ? std::optional(state) : std::nullopt;
  return o.output == after ? std::optional(after) : std::nullopt;
}

// The same history without what only makes the search long, which doubles with each operation without an
// answer. One that shows changes nothing. Of those that ask for the same branch, or for its deletion,
// whatever a later one did, the first may have done at the same moment, and a name is given once.
std::vector<Operation> without_idle_unanswered(const std::vector<Operation>& history) {
  std::vector<Operation> kept;
  std::set<std::pair<std::string, std::string>> asked;
  for (const Operation& o : history) {
    bool answered = o.ret != Operation::kNever;
    if (answered || (o.kind != "show" && asked.emplace(o.key, o.kind + o.input).second)) kept.push_back(o);
  }
  return kept;
}

class Clients {
 public:
  explicit Clients(Cluster& cluster) : cluster_(cluster) {
    for (size_t i = 0; i < kNames; i++) names_.push_back(random_timeline_id(cluster.run().random()));
  }

  void start() {
    for (size_t i = 0; i < kClients; i++)
      cluster_.operators().spawn("client", [this, i](Task& task) { return work(task, i); });
  }
  void stop() { stopped_ = true; }
  const std::vector<Operation>& history() const { return history_; }
  // Of the tenant's configuration, a register.
  const std::vector<Operation>& configurations() const { return configurations_; }
  uint64_t answered() const { return answered_; }

 private:
  Status work(Task& task, size_t number) {
    Random& random = task.env().random("client " + std::to_string(number));
    while (!stopped_) {
      TRY(task.sleep(random.exponential(Duration::milliseconds(400))));
      const std::vector<Lsn>& commits = cluster_.lines().front()->events->commits();
      if (commits.empty() || !cluster_.run().may_operate()) continue;
      if (random.chance({1, 4})) {
        Deadline deadline(task, Duration::milliseconds(static_cast<int64_t>(random.log_uniform(50, 8000))));
        TRY(configure(task, random.chance({1, 3})));
        continue;
      }
      size_t name = random.below(kNames);
      bool show = random.chance({2, 3});
      // A few LSNs, so that clients ask for the same and for different ones.
      Lsn at = commits[random.below(std::min<size_t>(commits.size(), 3))];
      Deadline deadline(task, Duration::milliseconds(static_cast<int64_t>(random.log_uniform(50, 8000))));
      if (random.chance({1, 12})) {
        TimelineId id = names_[name];
        if (random.chance({1, 2})) names_[name] = random_timeline_id(random);
        Deadline deadline(task, Duration::milliseconds(static_cast<int64_t>(random.log_uniform(50, 8000))));
        TRY(remove(task, id));
        continue;
      }
      TRY(operate(task, names_[name], show ? std::nullopt : std::optional(at)));
    }
    return {};
  }

  // Only Cancelled, of the task itself, is an error.
  Status operate(Task& task, const TimelineId& name, std::optional<Lsn> branch_at) {
    std::string path = "/v1/tenant/" + to_string(cluster_.tenant()) + "/timeline";
    nlohmann::json body;
    if (branch_at)
      body = {{"new_timeline_id", to_string(name)},
              {"ancestor_timeline_id", to_string(cluster_.lines().front()->id.timeline)},
              {"ancestor_start_lsn", to_string(*branch_at)}};
    size_t place = history_.size();
    int64_t now = cluster_.run().world().now().ns;
    history_.push_back({to_string(name), now, Operation::kNever, branch_at ? "branch" : "show",
                        branch_at ? to_string(*branch_at) : "", ""});
    auto answer = http::fetch_json(task, cluster_.management(), branch_at ? "POST" : "GET",
                                   branch_at ? path : path + "/" + to_string(name), body);
    std::string output;
    if (answer.ok()) output = answer->value("ancestor_lsn", "?");
    if (!branch_at && answer.is(Code::NotFound)) output = "absent";
    if (branch_at && answer.is(Code::AlreadyExists)) output = "another exists";
    if (output.empty()) return {};
    history_[place].output = output;
    history_[place].ret = cluster_.run().world().now().ns;
    answered_++;
    return {};
  }

  Status remove(Task& task, const TimelineId& name) {
    size_t place = history_.size();
    history_.push_back(
        {to_string(name), cluster_.run().world().now().ns, Operation::kNever, "delete", "", ""});
    auto answer = http::fetch_json(
        task, cluster_.management(), "DELETE",
        "/v1/tenant/" + to_string(cluster_.tenant()) + "/timeline/" + to_string(name), nullptr);
    if (!answer.ok() && !answer.is(Code::NotFound)) return {};
    history_[place].output = answer.ok() ? kDeleted : "absent";
    history_[place].ret = cluster_.run().world().now().ns;
    answered_++;
    return {};
  }

  // Each value is written once.
  Status configure(Task& task, bool write) {
    std::string path = "/v1/tenant/" + to_string(cluster_.tenant()) + "/config";
    size_t place = configurations_.size();
    std::string value = "v" + std::to_string(place);
    int64_t now = cluster_.run().world().now().ns;
    configurations_.push_back(
        {"configuration", now, Operation::kNever, write ? "write" : "read", write ? value : "", ""});
    nlohmann::json body;
    if (write) body = {{"redo_extensions", {value}}};
    auto answer = http::fetch_json(task, cluster_.management(), write ? "PUT" : "GET", path, body);
    if (!answer.ok()) return {};
    auto list = answer->value("redo_extensions", std::vector<std::string>());
    if (!write) configurations_[place].output = list.empty() ? "" : list[0];
    configurations_[place].ret = cluster_.run().world().now().ns;
    answered_++;
    return {};
  }

  Cluster& cluster_;
  std::vector<TimelineId> names_;
  std::vector<Operation> configurations_;
  std::vector<Operation> history_;
  uint64_t answered_ = 0;
  bool stopped_ = false;
};

void control_api_body(Run& run) {
  Cluster cluster(run);
  Clients clients(cluster);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  run.start_faults(cluster.nodes(), run.options().length);
  clients.start();
  run.run_for(run.options().length);
  run.heal();
  run.run_for(Duration::seconds(20));
  clients.stop();
  if (run.failed()) return;
  Linearizability result = check_linearizable(without_idle_unanswered(clients.history()), {"", step});
  if (!result.holds && result.decided) run.fail("the control API is linearizable", result.violation);
  Linearizability configuration =
      check_linearizable(settle_unanswered(clients.configurations()), register_specification(""));
  if (!configuration.holds && configuration.decided)
    run.fail("a tenant's configuration is a register", configuration.violation);
  if (run.options().limits == Limits() && clients.answered() < 10)
    run.fail("minimum work", "only " + std::to_string(clients.answered()) + " answers of the control API");
  check_end(cluster);
}

}  // namespace

constinit const Scenario kControlApi{
    "control-api",
    "creating, showing and deleting branches is linearizable, and so is a tenant's configuration",
    control_api_body,
    {10, 10, 0},
    false};

}  // namespace argon::scenarios
