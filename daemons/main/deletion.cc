// timeline delete, tenant delete, endpoint delete.
//
// Endpoints go first, then the pageserver and the safekeepers (core/safekeeper/delete_everywhere.h), the name
// last: so a command that was ended anywhere is run again, and goes on.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/safekeeper/delete_everywhere.h"
#include "daemons/main/commands.h"
#include "daemons/posix/fd.h"

namespace argon::cli {
namespace {

Status destroy_endpoint(Task& task, Session& session, const Endpoint& endpoint) {
  TRY(stop_endpoint(task, session, endpoint, StopMode::Immediate));
  std::error_code error;
  std::filesystem::remove_all(session.config().endpoint_dir(endpoint.name), error);
  if (error) return posix::os_error("remove endpoint " + endpoint.name, error.value());
  session.say("endpoint " + endpoint.name + ": removed");
  return {};
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// Endpoints of a timeline, or of a whole tenant.
Result<std::vector<Endpoint>> endpoints_of(const Config& config, const safekeeper::Tombstone& what) {
  TRY_ASSIGN(std::vector<Endpoint> all, load_endpoints(config));
  std::erase_if(all, [&](const Endpoint& endpoint) { return !what.covers(endpoint.id); });
  return all;
}

Status check_no_endpoints(Session& session, const std::vector<Endpoint>& endpoints, const std::string& of) {
  if (endpoints.empty()) return {};
  std::vector<std::string> names;
  for (const Endpoint& endpoint : endpoints)
    names.push_back("'" + endpoint.name + "' (" + endpoint_status(session.config(), endpoint) + ")");
  return Error(Code::AlreadyExists,
               fmt::format("{} has endpoints: {}; remove them by `argon endpoint delete`, or use --force", of,
                           joined(names)));
}

// The pageserver refuses it too, but by then endpoints would be gone.
Status check_no_branches(Task& task, Session& session, const TenantTimelineId& id, const std::string& name) {
  TRY_ASSIGN(nlohmann::json timelines, session.timelines(task, id.tenant));
  std::vector<std::string> branches;
  for (const nlohmann::json& one : timelines) {
    if (!one.is_object() || one.value("ancestor_timeline_id", "") != to_string(id.timeline)) continue;
    std::string text = one.value("timeline_id", "");
    auto branch = parse_timeline_id(text);
    std::string known = branch.ok() ? session.state().branch_name(id.tenant, *branch) : "";
    branches.push_back(known.empty() ? text : "'" + known + "'");
  }
  if (branches.empty()) return {};
  return Error(Code::Stale,
               fmt::format("timeline '{}' has branches: {}; delete them first", name, joined(branches)));
}

Status delete_storage(Task& task, Session& session, const safekeeper::Tombstone& what,
                      const DeleteOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  safekeeper::DeletionRequest request;
  request.what = what;
  TRY_ASSIGN(PageserverNode pageserver,
             session.config().pageserver(session.state().pageserver_of(what.tenant)));
  request.pageserver = pageserver.listen_http;
  for (const SafekeeperNode& node : session.config().safekeepers)
    request.safekeepers[NodeId(node.id)] = node.listen_http;
  request.unknown_too = options.force;
  request.say = [&](const std::string& line) { session.say(line); };
  Deadline deadline(task, timeout);
  return safekeeper::delete_everywhere(task, request);
}

}  // namespace

Status timeline_delete(Task& task, Env& env, const Globals& globals, const DeleteOptions& options) {
  TRY(parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  TRY_ASSIGN(TimelineId timeline, session.state().branch(tenant, options.branch_name));
  safekeeper::Tombstone what{tenant, timeline};
  TRY_ASSIGN(std::vector<Endpoint> endpoints, endpoints_of(session.config(), what));
  if (!options.force) TRY(check_no_endpoints(session, endpoints, "timeline '" + options.branch_name + "'"));
  TRY(check_no_branches(task, session, {tenant, timeline}, options.branch_name));
  for (const Endpoint& endpoint : endpoints) TRY(destroy_endpoint(task, session, endpoint));
  TRY(delete_storage(task, session, what, options));
  session.state().tenants[tenant].branches.erase(options.branch_name);
  TRY(session.save());
  if (globals.json)
    globals.answer({{"tenant_id", to_string(tenant)},
                    {"timeline_id", to_string(timeline)},
                    {"branch_name", options.branch_name},
                    {"deleted", true}});
  else
    session.say(fmt::format("Deleted timeline '{}' [{}]", options.branch_name, to_string(timeline)));
  return {};
}

Status tenant_delete(Task& task, Env& env, const Globals& globals, const DeleteOptions& options) {
  TRY(parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  safekeeper::Tombstone what{tenant, {}};
  TRY_ASSIGN(std::vector<Endpoint> endpoints, endpoints_of(session.config(), what));
  if (!options.force) TRY(check_no_endpoints(session, endpoints, "tenant " + to_string(tenant)));
  // Whether it runs at all: before endpoints go.
  TRY(session.pageserver(task, "GET", "/v1/status"));
  for (const Endpoint& endpoint : endpoints) TRY(destroy_endpoint(task, session, endpoint));
  TRY(delete_storage(task, session, what, options));
  session.state().tenants.erase(tenant);
  bool was_default = session.state().default_tenant == tenant;
  if (was_default) session.state().default_tenant.reset();
  TRY(session.save());
  if (globals.json)
    globals.answer({{"tenant_id", to_string(tenant)}, {"deleted", true}});
  else
    session.say("Deleted tenant " + to_string(tenant) +
                (was_default ? "; there is no default tenant now" : ""));
  return {};
}

Status endpoint_delete(Task& task, Env& env, const Globals& globals, const DeleteOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(Endpoint endpoint, load_endpoint(session.config(), options.endpoint));
  if (!options.force && endpoint_status(session.config(), endpoint) == "running")
    return Error(Code::AlreadyExists, "endpoint '" + endpoint.name + "' runs: stop it first, or use --force");
  TRY(destroy_endpoint(task, session, endpoint));
  if (globals.json) globals.answer({{"endpoint", endpoint.name}, {"deleted", true}});
  return {};
}

}  // namespace argon::cli
