// What the command asks of the safekeepers.

#include <fmt/format.h>

#include "core/fiber/scope.h"
#include "core/http/client.h"
#include "core/http/json_fields.h"
#include "core/safekeeper/migration.h"
#include "daemons/main/commands.h"
#include "daemons/main/object_store.h"

namespace argon::cli {
namespace {

using namespace literals;

Result<nlohmann::json> creation_request(const Config& config, const TenantTimelineId& id,
                                        const nlohmann::json& details) {
  if (!details.is_object())
    return Error(Code::Corrupt, "the pageserver's details of " + to_string(id) + " are not an object");
  nlohmann::json members = nlohmann::json::array();
  for (const SafekeeperNode& node : config.safekeepers)
    members.push_back({{"id", node.id}, {"host", node.listen_pg.host}, {"pg_port", node.listen_pg.port}});
  return nlohmann::json{{"tenant_id", to_string(id.tenant)},
                        {"timeline_id", to_string(id.timeline)},
                        {"mconf", {{"generation", 1}, {"members", members}}},
                        // The pageserver tells the major version, safekeepers take PG_VERSION_NUM.
                        {"pg_version", details.value("pg_version", 0) * 10'000},
                        {"system_id", http::text_at(details, "system_id")},
                        {"start_lsn", http::text_at(details, "wal_begin_lsn")}};
}

}  // namespace

consensus::Member member_of(const SafekeeperNode& node) {
  return {NodeId(node.id), node.listen_pg.host, node.listen_pg.port};
}

Result<consensus::Configuration> members_of(Task& task, Env& env, const Config& config,
                                            const TenantTimelineId& id) {
  TRY_ASSIGN(auto store, open_object_store(task, env, config, "argon-read"));
  TRY_ASSIGN(auto decided, safekeeper::decided_members(task, *store, id));
  if (decided) return *decided;
  consensus::Configuration members;
  members.generation = consensus::ConfigurationGeneration(1);
  for (const SafekeeperNode& node : config.safekeepers) members.members.push_back(member_of(node));
  return members;
}

Status create_on_safekeepers(Task& task, Session& session, const TenantTimelineId& id,
                             const nlohmann::json& details) {
  TRY_ASSIGN(consensus::Configuration members, members_of(task, session.env(), session.config(), id));
  if (members.generation > consensus::ConfigurationGeneration(1)) return {};
  const std::vector<SafekeeperNode>& nodes = session.config().safekeepers;
  TRY_ASSIGN(nlohmann::json request, creation_request(session.config(), id, details));
  std::vector<Status> results(nodes.size());
  Scope scope(task);
  for (size_t i = 0; i < nodes.size(); i++)
    scope.spawn("safekeeper", [&, i](Task& t) -> Status {
      Deadline deadline(t, 10_s);
      Result<nlohmann::json> made =
          http::fetch_json(t, nodes[i].listen_http, "POST", "/v1/tenant/timeline", request);
      if (!made.ok() && !made.is(Code::AlreadyExists)) results[i] = made.error();
      return {};
    });
  TRY(scope.join(task));
  size_t ok = 0;
  std::string failures;
  for (size_t i = 0; i < nodes.size(); i++) {
    if (results[i].ok()) {
      ok++;
      continue;
    }
    failures += fmt::format("\n  safekeeper {}: {}", nodes[i].id, results[i].error().message());
  }
  if (ok * 2 > nodes.size()) {
    if (!failures.empty())
      session.say(fmt::format("timeline {} is not on all safekeepers:{}", to_string(id.timeline), failures));
    return {};
  }
  return Error(Code::Unavailable,
               fmt::format("timeline {} is known to {} of {} safekeepers only, a majority is needed:{}",
                           to_string(id.timeline), ok, nodes.size(), failures));
}

}  // namespace argon::cli
