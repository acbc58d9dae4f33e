// safekeeper list, add, replace, remove; timeline migrate-safekeepers: who the members of timelines are.
//
// Other commands may run while a timeline moves (an endpoint may have to start, so that it can): what is
// decided is decided in the object store. Only argon.toml is changed under the lock.

#include <fmt/format.h>

#include <algorithm>

#include "core/http/client.h"
#include "core/safekeeper/migration.h"
#include "daemons/main/commands.h"
#include "daemons/main/files.h"
#include "daemons/main/object_store.h"
#include "daemons/main/ports.h"
#include "daemons/posix/daemon.h"

namespace argon::cli {
namespace {

using namespace literals;

Result<const SafekeeperNode*> find_node(const Config& config, uint64_t id) {
  std::string known;
  for (const SafekeeperNode& node : config.safekeepers) {
    if (node.id == id) return &node;
    known += (known.empty() ? "" : ", ") + std::to_string(node.id);
  }
  return Error(Code::NotFound, fmt::format("there is no safekeeper {}; there are {}", id, known));
}

// Those that run read WAL from the new members from here on.
Status tell_replicas(Task& task, Session& session, const TenantTimelineId& id) {
  TRY_ASSIGN(std::vector<Endpoint> endpoints, load_endpoints(session.config()));
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.id != id || endpoint.mode != compute::EndpointMode::Replica ||
        endpoint_status(session.config(), endpoint) != "running")
      continue;
    Result<nlohmann::json> told = reload_endpoint(task, endpoint);
    if (told.is(Code::Cancelled)) return told.error();
    if (!told.ok())
      session.say(fmt::format("endpoint {}: does not take up its new safekeepers, start it anew: {}",
                              endpoint.name, told.error().to_string()));
  }
  return {};
}

Result<safekeeper::Migrated> move_timeline(Task& task, Session& session, const TenantTimelineId& id,
                                           const std::string& name, std::vector<NodeId> target,
                                           Duration timeout) {
  safekeeper::Migration migration;
  migration.id = id;
  for (const SafekeeperNode& node : session.config().safekeepers)
    migration.nodes[NodeId(node.id)] = {member_of(node), node.listen_http};
  migration.target = std::move(target);
  migration.say = [&](const std::string& line) { session.say(name + ": " + line); };
  // Between processes put-if-absent is not exact in a folder, and in a bucket whose store ignores it.
  TRY_ASSIGN(posix::Fd lock, lock_folder(task, session.config(), "members.lock"));
  TRY_ASSIGN(auto store, open_object_store(task, session.env(), session.config(), "argon-members"));
  Deadline deadline(task, timeout);
  TRY_ASSIGN(safekeeper::Migrated done,
             safekeeper::migrate(task, *store, migration).with("timeline " + name));
  session.say(name + ": its safekeepers are " + consensus::to_string(done.configuration));
  for (NodeId left : done.not_removed)
    session.say(fmt::format("{}: safekeeper {} did not answer: its files of this timeline stay", name,
                            to_string(left)));
  TRY(tell_replicas(task, session, id));
  return done;
}

struct NamedTimeline {
  TenantTimelineId id;
  std::string name;
};

std::vector<NamedTimeline> all_timelines(Session& session) {
  std::vector<NamedTimeline> all;
  for (const auto& [tenant, entry] : session.state().tenants)
    for (const auto& [name, timeline] : entry.branches) all.push_back({{tenant, timeline}, name});
  return all;
}

Result<SafekeeperNode> add_node(Task& task, Env& env, const Globals& globals) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  const Config& config = session.config();
  const SafekeeperNode& last = config.safekeepers.back();
  SafekeeperNode node;
  for (const SafekeeperNode& other : config.safekeepers) node.id = std::max(node.id, other.id + 1);
  PortChooser ports(last.listen_pg.host);
  TRY_ASSIGN(uint16_t wal, ports.choose(static_cast<uint16_t>(last.listen_pg.port + 1)));
  TRY_ASSIGN(uint16_t http, ports.choose(static_cast<uint16_t>(last.listen_http.port + 1)));
  node.listen_pg = Address::tcp(last.listen_pg.host, wal);
  node.listen_http = Address::tcp(last.listen_http.host, http);
  TRY(make_folders(config.safekeeper_dir(node.id)));
  TRY(add_safekeeper_section(config, node));
  TRY(start_background(task, env, safekeeper_daemon(config, node), 30_s, session.progress()));
  return node;
}

// Everything that has `old` as a member goes on with `by` (0: with one member less).
Status leave(Task& task, Session& session, uint64_t old, uint64_t by, Duration timeout) {
  for (const NamedTimeline& timeline : all_timelines(session)) {
    TRY_ASSIGN(consensus::Configuration members,
               members_of(task, session.env(), session.config(), timeline.id));
    const auto& last = members.joint() ? members.new_members : members.members;
    std::vector<NodeId> target;
    for (const consensus::Member& one : last)
      if (one.id != NodeId(old) && one.id != NodeId(by)) target.push_back(one.id);
    if (target.size() == last.size() && !members.joint()) continue;
    if (by != 0) target.push_back(NodeId(by));
    if (target.empty())
      return Error(Code::Invalid,
                   fmt::format("safekeeper {} is the only one of timeline {}", old, timeline.name));
    TRY(move_timeline(task, session, timeline.id, timeline.name, target, timeout));
  }
  return {};
}

Status take_away(Task& task, Env& env, const Globals& globals, uint64_t id) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(const SafekeeperNode* node, find_node(session.config(), id));
  Background daemon = safekeeper_daemon(session.config(), *node);
  TRY(stop_background(task, daemon.name, daemon.pid_file, StopMode::Fast, 60_s, session.progress()));
  TRY(remove_safekeeper_section(session.config(), id));
  session.say(fmt::format("safekeeper {} is no part of the cluster any more; its folder {} may be removed",
                          id, session.config().safekeeper_dir(id)));
  return {};
}

}  // namespace

Status timeline_migrate_safekeepers(Task& task, Env& env, const Globals& globals,
                                    const TimelineOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  TRY_ASSIGN(TimelineId timeline, session.state().branch(tenant, options.branch_name));
  std::vector<NodeId> target;
  for (uint64_t id : options.safekeepers) {
    TRY(find_node(session.config(), id));
    target.push_back(NodeId(id));
  }
  TRY_ASSIGN(safekeeper::Migrated done,
             move_timeline(task, session, {tenant, timeline}, options.branch_name, target, timeout));
  if (globals.json) {
    nlohmann::json members = nlohmann::json::array();
    for (NodeId id : done.configuration.ids()) members.push_back(id.value);
    globals.answer({{"timeline_id", to_string(timeline)},
                    {"generation", done.configuration.generation.value},
                    {"safekeepers", members}});
  }
  return {};
}

Status safekeeper_list(Task& task, Env& env, const Globals& globals) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  std::map<NodeId, size_t> timelines;
  for (const NamedTimeline& timeline : all_timelines(session)) {
    TRY_ASSIGN(consensus::Configuration members, members_of(task, env, session.config(), timeline.id));
    for (NodeId id : members.ids()) timelines[id]++;
  }
  std::vector<std::vector<std::string>> rows{{"ID", "WAL", "HTTP", "STATUS", "TIMELINES"}};
  nlohmann::json list = nlohmann::json::array();
  for (const SafekeeperNode& node : session.config().safekeepers) {
    bool runs = posix::pid_file_holder(safekeeper_daemon(session.config(), node).pid_file) > 0;
    size_t members = timelines[NodeId(node.id)];
    rows.push_back({std::to_string(node.id), to_string(node.listen_pg), to_string(node.listen_http),
                    runs ? "running" : "stopped", std::to_string(members)});
    list.push_back({{"id", node.id},
                    {"listen_pg", to_string(node.listen_pg)},
                    {"listen_http", to_string(node.listen_http)},
                    {"status", runs ? "running" : "stopped"},
                    {"timelines", members}});
  }
  if (globals.json)
    globals.answer(list);
  else
    fmt::print("{}", table(rows));
  return {};
}

Status safekeeper_add(Task& task, Env& env, const Globals& globals, const SafekeeperOptions&) {
  TRY_ASSIGN(SafekeeperNode node, add_node(task, env, globals));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  if (globals.json)
    globals.answer({{"id", node.id}, {"listen_pg", to_string(node.listen_pg)}});
  else
    session.say(
        fmt::format("Added safekeeper {}. Timelines get it by `argon safekeeper replace` or `argon timeline "
                    "migrate-safekeepers`",
                    node.id));
  return {};
}

Status safekeeper_replace(Task& task, Env& env, const Globals& globals, const SafekeeperOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  uint64_t by = options.by;
  {
    TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
    TRY(find_node(session.config(), options.id));
    if (by != 0) TRY(find_node(session.config(), by));
  }
  if (by == options.id) return Error(Code::Invalid, "a safekeeper cannot be replaced by itself");
  if (by == 0) {
    TRY_ASSIGN(SafekeeperNode added, add_node(task, env, globals));
    by = added.id;
  }
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY(leave(task, session, options.id, by, timeout));
  TRY(take_away(task, env, globals, options.id));
  if (globals.json) globals.answer({{"removed", options.id}, {"by", by}});
  return {};
}

Status safekeeper_remove(Task& task, Env& env, const Globals& globals, const SafekeeperOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY(find_node(session.config(), options.id));
  if (session.config().safekeepers.size() == 1) return Error(Code::Invalid, "it is the only safekeeper");
  TRY(leave(task, session, options.id, 0, timeout));
  TRY(take_away(task, env, globals, options.id));
  if (globals.json) globals.answer({{"removed", options.id}});
  return {};
}

}  // namespace argon::cli
