#include "core/safekeeper/migration.h"

#include <algorithm>

#include "core/env/points.h"
#include "core/http/client.h"
#include "core/objstore/keys.h"
#include "core/safekeeper/management_json.h"

namespace argon::safekeeper {
namespace {

using consensus::Configuration;
using consensus::ConfigurationGeneration;
using nlohmann::json;

constexpr Duration kAnswerTimeout = Duration::seconds(5);
constexpr Duration kPullTimeout = Duration::seconds(600);
constexpr int kExcludeAttempts = 3;

std::string members_key(const TenantTimelineId& id, ConfigurationGeneration generation) {
  return objstore::with_generation(objstore::wal_prefix(id) + "members", Generation(generation.value));
}

class Migrator {
 public:
  Migrator(Task& task, objstore::ObjectStore& store, const Migration& migration)
      : task_(task),
        store_(store),
        migration_(migration),
        log_(Logger(task.env().log())
                 .with("tenant", to_string(migration.id.tenant))
                 .with("timeline", to_string(migration.id.timeline))) {}

  Result<Migrated> run() {
    for (;;) {
      TRY_ASSIGN(Configuration current, current_members());
      if (current.joint()) {
        TRY(carry_out(current));
        continue;
      }
      // It may have been decided by a call that went no further.
      TRY(settle(current));
      TRY_ASSIGN(bool old, overtaken(current));
      if (old) continue;
      if (is_target(current)) return clean_up(current);
      Configuration joint = current;
      joint.generation = ConfigurationGeneration(current.generation.value + 1);
      TRY_ASSIGN(joint.new_members, target());
      TRY(decide(joint));
    }
  }

 private:
  void say(const std::string& line) const {
    log_.info("change of members: {}", line);
    if (migration_.say) migration_.say(line);
  }

  bool is_target(const Configuration& configuration) const {
    std::set<NodeId> wanted(migration_.target.begin(), migration_.target.end());
    return configuration.ids() == wanted;
  }

  Result<std::vector<consensus::Member>> target() const {
    std::vector<consensus::Member> members;
    for (NodeId id : migration_.target) {
      auto node = migration_.nodes.find(id);
      if (node == migration_.nodes.end())
        return Error(Code::Invalid, "there is no safekeeper " + to_string(id));
      members.push_back(node->second.member);
    }
    return members;
  }

  // As decided, else as the safekeepers know them from when the timeline was made.
  Result<Configuration> current_members() {
    TRY_ASSIGN(std::optional<Configuration> decided, decided_members(task_, store_, migration_.id));
    if (decided) return *decided;
    std::string failures;
    for (const auto& [id, node] : migration_.nodes) {
      auto status = call(node.http, "GET", "", nullptr);
      if (status.is(Code::Cancelled)) return status.error();
      auto found = status.ok() ? configuration_of(*status) : Result<Configuration>(status.error());
      if (!found.ok())
        failures += "; " + found.error().message();
      else
        return undecided(id, *found);
    }
    return Error(Code::Unavailable,
                 "the members of timeline " + to_string(migration_.id) + " are not known" + failures);
  }

  // Of generation 1, or somebody has decided it since we looked.
  Result<Configuration> undecided(NodeId id, const Configuration& found) {
    if (found.generation == ConfigurationGeneration(1)) return found;
    TRY_ASSIGN(std::optional<Configuration> decided, decided_members(task_, store_, migration_.id));
    if (decided) return *decided;
    return Error(Code::Corrupt,
                 "safekeeper " + to_string(id) + " is in " + to_string(found) + ", which nobody decided");
  }

  // Ok where this or another configuration of the generation is decided: read again which.
  Status decide(const Configuration& configuration) {
    TRY(configuration.validate());
    std::string text = members_text(configuration);
    Status put = store_.put(task_, members_key(migration_.id, configuration.generation), as_bytes(text),
                            objstore::PutMode::IfAbsent);
    if (put.ok()) say("decided " + to_string(configuration));
    if (put.is(Code::AlreadyExists) || put.is(Code::MaybeApplied)) return {};
    return put;
  }

  Result<json> call(const Address& http, const std::string& method, const std::string& path, const json& body,
                    Duration timeout = kAnswerTimeout) {
    Deadline deadline(task_, timeout);
    std::string target = "/v1/tenant/" + to_string(migration_.id.tenant) + "/timeline/" +
                         to_string(migration_.id.timeline) + path;
    return http::fetch_json(task_, http, method, target, body);
  }

  const MigrationNode* node(NodeId id) const {
    auto found = migration_.nodes.find(id);
    return found == migration_.nodes.end() ? nullptr : &found->second;
  }

  Result<consensus::MemberReport> tell(NodeId id, const Configuration& configuration) {
    auto report = told(id, configuration);
    if (report.ok())
      failures_.erase(id);
    else
      failures_[id] = report.error().message();
    return report;
  }

  // Whether it may copy the log to become a member: it leaves a tombstone, or joins just now. A former member
  // without either has lost its disk, and with it votes and WAL that count: it must not come back as if it
  // had not.
  static bool may_join(NodeId id, const Configuration& configuration, Code answer) {
    if (answer == Code::Stale) return true;
    Configuration old{configuration.generation, configuration.members, {}};
    return answer == Code::NotFound && configuration.joint() && !old.contains(id);
  }

  // Tells a member the configuration; it copies the log first where it joins.
  Result<consensus::MemberReport> told(NodeId id, const Configuration& configuration) {
    const MigrationNode* to = node(id);
    if (to == nullptr)
      return Error(Code::Unavailable, "there is no safekeeper " + to_string(id) + " any more");
    json body{{"mconf", to_json(configuration)}};
    auto answer = call(to->http, "PUT", "/membership", body);
    if (!answer.ok() && may_join(id, configuration, answer.error().code())) {
      body["donors"] = json::array();
      for (const auto& [other, donor] : migration_.nodes)
        if (other != id && configuration.contains(other)) body["donors"].push_back(to_string(donor.http));
      say("safekeeper " + to_string(id) + " copies the WAL");
      answer = call(to->http, "POST", "/pull", body, kPullTimeout);
    }
    TRY(answer);
    return report_of(*answer);
  }

  Status pause(std::string waiting_for) {
    for (const auto& [id, why] : failures_) waiting_for += "; safekeeper " + to_string(id) + ": " + why;
    if (waiting_for != waited_for_) say("waiting for " + waiting_for);
    waited_for_ = waiting_for;
    Status slept = task_.sleep(migration_.poll);
    return slept.is(Code::TimedOut) ? Status(Error(Code::TimedOut, "still waiting for " + waiting_for))
                                    : slept;
  }

  Status carry_out(const Configuration& joint) {
    consensus::MembershipChange change(joint);
    for (;;) {
      for (NodeId id : joint.ids()) {
        auto report = tell(id, joint);
        if (report.is(Code::Cancelled)) return report.error();
        if (report.ok()) change.report(*report);
      }
      if (change.ready()) return decide(change.final_configuration());
      TRY_ASSIGN(bool old, overtaken(joint));
      if (old) return {};
      for (NodeId id : change.below_term()) TRY(raise(id, change.fence()->term));
      TRY(pause(change.waiting_for()));
    }
  }

  // Somebody else has gone further meanwhile.
  Result<bool> overtaken(const Configuration& configuration) {
    TRY_ASSIGN(std::optional<Configuration> decided, decided_members(task_, store_, migration_.id));
    if (!decided || decided->generation <= configuration.generation) return false;
    task_.env().probe("migration.overtaken"_probe);
    return true;
  }

  Status raise(NodeId id, Term term) {
    task_.env().probe("migration.term-raised"_probe);
    const MigrationNode* to = node(id);
    if (to == nullptr) return {};
    auto raised = call(to->http, "POST", "/term_bump", {{"term", term.value}});
    return raised.is(Code::Cancelled) ? Status(raised.error()) : Status();
  }

  // Until a majority is in the configuration.
  Status settle(const Configuration& configuration) {
    std::set<NodeId> there;
    for (;;) {
      for (NodeId id : configuration.ids()) {
        if (there.contains(id)) continue;
        auto report = tell(id, configuration);
        if (report.is(Code::Cancelled)) return report.error();
        if (report.ok() && report->generation >= configuration.generation) there.insert(id);
      }
      if (configuration.is_quorum(there)) return {};
      TRY_ASSIGN(bool old, overtaken(configuration));
      if (old) return {};
      TRY(pause("a majority of " + to_string(configuration)));
    }
  }

  Result<Migrated> clean_up(const Configuration& configuration) {
    Migrated done{configuration, {}};
    for (const auto& [id, other] : migration_.nodes)
      if (!configuration.contains(id)) done.not_removed.push_back(id);
    for (int attempt = 0; attempt < kExcludeAttempts && !done.not_removed.empty(); attempt++) {
      if (attempt > 0) TRY(task_.sleep(migration_.poll));
      TRY(exclude(configuration, done.not_removed));
    }
    return done;
  }

  // Takes those that removed it from the list.
  Status exclude(const Configuration& configuration, std::vector<NodeId>& nodes) {
    std::vector<NodeId> left;
    for (NodeId id : nodes) {
      auto done = call(node(id)->http, "PUT", "/exclude", {{"mconf", to_json(configuration)}});
      if (done.is(Code::Cancelled)) return done.error();
      if (!done.ok()) left.push_back(id);
    }
    nodes = std::move(left);
    return {};
  }

  Task& task_;
  objstore::ObjectStore& store_;
  const Migration& migration_;
  Logger log_;
  std::map<NodeId, std::string> failures_;  // of the last attempts to tell
  std::string waited_for_;
};

}  // namespace

Result<std::optional<Configuration>> decided_members(Task& task, objstore::ObjectStore& store,
                                                     const TenantTimelineId& id) {
  auto latest =
      objstore::find_latest(task, store, objstore::wal_prefix(id), "members", Generation(UINT32_MAX));
  if (latest.is(Code::NotFound)) return std::optional<Configuration>();
  TRY(latest);
  TRY_ASSIGN(Bytes bytes, store.get(task, latest->first));
  auto configuration = parse_members(as_text(bytes));
  if (!configuration.ok() || configuration->generation.value != latest->second.value)
    return Error(Code::Corrupt,
                 latest->first + " in the object store is not what was decided: " +
                     (configuration.ok() ? to_string(*configuration) : configuration.error().message()));
  return std::optional(*std::move(configuration));
}

Result<Migrated> migrate(Task& task, objstore::ObjectStore& store, const Migration& migration) {
  if (migration.target.empty()) return Error(Code::Invalid, "a timeline needs at least one safekeeper");
  return Migrator(task, store, migration).run();
}

}  // namespace argon::safekeeper
