// timeline list, create, branch, and what is asked of one that is there.

#include <fmt/format.h>

#include "core/base/timestamp.h"
#include "core/http/client.h"
#include "core/http/json_fields.h"
#include "daemons/main/commands.h"
#include "daemons/main/tree.h"

namespace argon::cli {
namespace {

using namespace literals;

constexpr Duration kAskTimeout = 2_s;
constexpr Duration kCopyTimeout = 3600_s;
constexpr Duration kArchiveTimeout = 120_s;
constexpr Duration kLookInterval = 100_ms;
constexpr int kLooksForWal = 300;

Status check_new_name(Session& session, const TenantId& tenant, const std::string& name) {
  if (name.empty() || name.find_first_of("/ \t\n[]") != std::string::npos)
    return Error(Code::Invalid, "'" + name + "' is not a branch name: no blanks, slashes or brackets");
  TRY(check_utf8(name));
  auto entry = session.state().tenants.find(tenant);
  if (entry != session.state().tenants.end() && entry->second.branches.contains(name))
    return Error(Code::AlreadyExists, "there is a timeline with branch name '" + name + "' already");
  return {};
}

Result<TimelineId> new_timeline_id(Env& env, const std::string& option) {
  if (!option.empty()) return parse_timeline_id(option);
  return random_timeline_id(env.random("argon.timeline_id"));
}

// What an answer says under that key; not valid where there is no answer.
Lsn lsn_in(const Result<nlohmann::json>& answer, const char* key) {
  if (!answer.ok() || !answer->is_object()) return Lsn();
  Result<Lsn> lsn = parse_lsn(http::text_at(*answer, key));
  return lsn.ok() ? *lsn : Lsn();
}

std::string path_of(const TenantTimelineId& id) {
  return "/v1/tenant/" + to_string(id.tenant) + "/timeline/" + to_string(id.timeline);
}

// Up to where a running primary knows its WAL to be committed, else safekeepers do; whoever answers. Not
// valid where nobody does.
Result<Lsn> told_committed(Task& task, const Session& session, const TenantTimelineId& id) {
  TRY_ASSIGN(std::vector<Endpoint> endpoints, load_endpoints(session.config()));
  auto ask = [&](const Address& address, const std::string& path) {
    Deadline deadline(task, kAskTimeout);
    return lsn_in(http::fetch_json(task, address, "GET", path, nullptr), "commit_lsn");
  };
  Lsn committed;
  for (const Endpoint& endpoint : endpoints) {
    bool primary = endpoint.id == id && endpoint.mode == compute::EndpointMode::Primary;
    if (primary && endpoint_status(session.config(), endpoint) == "running")
      committed = std::max(committed, ask(endpoint.listen_http, "/status"));
  }
  if (committed.valid()) return committed;
  for (const SafekeeperNode& node : session.config().safekeepers)
    committed = std::max(committed, ask(node.listen_http, path_of(id)));
  return committed;
}

// Where a branch begins that is to have all that was acknowledged until now: the pageserver, which does not
// know yet what is on its way to it, waits for that WAL if it is told the LSN.
Result<Lsn> end_of(Task& task, Session& session, const TenantTimelineId& id) {
  TRY_ASSIGN(nlohmann::json details, session.pageserver(task, "GET", path_of(id)));
  TRY_ASSIGN(Lsn committed, told_committed(task, session, id));
  return std::max(committed, lsn_in(details, "last_record_lsn"));
}

struct AtTime {
  Lsn lsn;
  std::string kind;
};

Result<AtTime> lsn_by_timestamp(Task& task, Session& session, const TenantTimelineId& id,
                                const std::string& text) {
  TRY_ASSIGN(WallTime time, parse_timestamp(text));
  TRY_ASSIGN(nlohmann::json answer,
             session.pageserver(task, "GET",
                                path_of(id) + "/get_lsn_by_timestamp?timestamp=" + timestamp_text(time)));
  if (!answer.is_object()) return Error(Code::Corrupt, "the pageserver's answer is not an object");
  TRY_ASSIGN(Lsn lsn, parse_lsn(http::text_at(answer, "lsn")));
  return AtTime{lsn, http::text_at(answer, "kind")};
}

// Until the pageserver has all WAL up to `lsn`.
Status wait_for_pageserver(Task& task, Session& session, const TenantTimelineId& id, Lsn lsn) {
  for (int look = 0; look < kLooksForWal; look++) {
    TRY_ASSIGN(nlohmann::json details, session.pageserver(task, "GET", path_of(id)));
    if (lsn_in(details, "last_record_lsn") >= lsn) return {};
    TRY(task.sleep(kLookInterval));
  }
  return Error(Code::Unavailable, "the pageserver has not received the WAL of timeline " +
                                      to_string(id.timeline) + " up to " + to_string(lsn) +
                                      " yet; try again when it has caught up");
}

Result<Lsn> start_of_branch(Task& task, Session& session, const TenantTimelineId& ancestor,
                            const TimelineOptions& options) {
  if (!options.ancestor_start_lsn.empty()) return parse_lsn(options.ancestor_start_lsn);
  if (options.ancestor_start_timestamp.empty()) return end_of(task, session, ancestor);
  TRY_ASSIGN(AtTime at, lsn_by_timestamp(task, session, ancestor, options.ancestor_start_timestamp));
  if (at.kind == "future") {
    // All commits that the pageserver knows are older. Those that are on their way to it may be later.
    TRY_ASSIGN(Lsn end, end_of(task, session, ancestor));
    TRY(wait_for_pageserver(task, session, ancestor, end));
    TRY_ASSIGN(at, lsn_by_timestamp(task, session, ancestor, options.ancestor_start_timestamp));
  }
  if (at.kind == "present" || at.kind == "future") return at.lsn;
  return Error(Code::Invalid,
               "timeline " + to_string(ancestor) + " has no history of " + options.ancestor_start_timestamp +
                   (at.kind == "past" ? ": it goes back to " + to_string(at.lsn) + ", whose commits are later"
                                      : ": it has no commits"));
}

Result<TenantTimelineId> named(Session& session, const TimelineOptions& options) {
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  TRY_ASSIGN(TimelineId timeline,
             session.state().branch(tenant, options.branch_name.empty() ? "main" : options.branch_name));
  return TenantTimelineId{tenant, timeline};
}

Status set_archival(Task& task, Session& session, const Globals& globals, const TenantTimelineId& id,
                    const char* state, const char* said) {
  TRY_ASSIGN(nlohmann::json now, session.pageserver(task, "PUT", path_of(id) + "/archival_config",
                                                    {{"state", state}}, kArchiveTimeout));
  if (globals.json)
    globals.answer(now);
  else
    session.say(fmt::format("timeline '{}' {}", to_string(id.timeline), said));
  return {};
}

}  // namespace

Status timeline_lsn_by_timestamp(Task& task, Env& env, const Globals& globals,
                                 const TimelineOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY_ASSIGN(TenantTimelineId id, named(session, options));
  TRY_ASSIGN(AtTime at, lsn_by_timestamp(task, session, id, options.timestamp));
  if (globals.json)
    globals.answer({{"lsn", to_string(at.lsn)}, {"kind", at.kind}});
  else
    session.say(fmt::format("{} ({})", to_string(at.lsn), at.kind));
  return {};
}

Status timeline_timestamp_of_lsn(Task& task, Env& env, const Globals& globals,
                                 const TimelineOptions& options) {
  TRY_ASSIGN(Lsn lsn, parse_lsn(options.lsn));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY_ASSIGN(TenantTimelineId id, named(session, options));
  TRY_ASSIGN(nlohmann::json answer,
             session.pageserver(task, "GET", path_of(id) + "/get_timestamp_of_lsn?lsn=" + to_string(lsn)));
  if (!answer.is_string()) return Error(Code::Corrupt, "the pageserver's answer is not a text");
  if (globals.json)
    globals.answer({{"lsn", to_string(lsn)}, {"timestamp", answer}});
  else
    session.say(answer.get<std::string>());
  return {};
}

Status timeline_gc(Task& task, Env& env, const Globals& globals, const TimelineOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY_ASSIGN(TenantTimelineId id, named(session, options));
  TRY_ASSIGN(nlohmann::json done, session.pageserver(task, "PUT", path_of(id) + "/do_gc"));
  if (globals.json)
    globals.answer(done);
  else
    session.say(fmt::format("history goes back to {}; {} layers of {} bytes were removed",
                            http::text_at(done, "gc_cutoff_lsn"), done.value("layers_removed", uint64_t{0}),
                            done.value("bytes_removed", uint64_t{0})));
  return {};
}

Status timeline_detach_ancestor(Task& task, Env& env, const Globals& globals,
                                const TimelineOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(TenantTimelineId id, named(session, options));
  session.say(fmt::format("copying what timeline '{}' reads from its ancestors ...", to_string(id.timeline)));
  TRY_ASSIGN(nlohmann::json now,
             session.pageserver(task, "PUT", path_of(id) + "/detach_ancestor", nullptr, kCopyTimeout));
  if (globals.json)
    globals.answer(now);
  else
    session.say(fmt::format("timeline '{}' has no ancestor any more", to_string(id.timeline)));
  return {};
}

Status timeline_archive(Task& task, Env& env, const Globals& globals, const TimelineOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(TenantTimelineId id, named(session, options));
  TRY_ASSIGN(std::vector<Endpoint> endpoints, load_endpoints(session.config()));
  for (const Endpoint& endpoint : endpoints)
    if (endpoint.id == id && endpoint_status(session.config(), endpoint) == "running")
      return Error(Code::Stale, "endpoint '" + endpoint.name + "' of timeline '" + to_string(id.timeline) +
                                    "' runs; stop it first");
  return set_archival(task, session, globals, id, "Archived", "is archived");
}

Status timeline_unarchive(Task& task, Env& env, const Globals& globals, const TimelineOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(TenantTimelineId id, named(session, options));
  return set_archival(task, session, globals, id, "Unarchived", "is back");
}

Status timeline_list(Task& task, Env& env, const Globals& globals, const TimelineOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  TRY_ASSIGN(nlohmann::json answer, session.timelines(task, tenant));
  std::vector<TreeNode> nodes;
  for (const nlohmann::json& one : answer) {
    TreeNode node{http::text_at(one, "timeline_id"),
                  http::text_at(one, "ancestor_timeline_id"),
                  http::text_at(one, "ancestor_lsn"),
                  {},
                  false};
    Result<TimelineId> id = parse_timeline_id(node.id);
    if (id.ok()) node.name = session.state().branch_name(tenant, *id);
    node.archived = one.value("is_archived", false);
    nodes.push_back(std::move(node));
  }
  if (globals.json) {
    for (nlohmann::json& one : answer) {
      Result<TimelineId> id = parse_timeline_id(http::text_at(one, "timeline_id"));
      if (id.ok()) one["branch_name"] = session.state().branch_name(tenant, *id);
    }
    globals.answer(answer);
    return {};
  }
  fmt::print("{}", draw_tree(std::move(nodes)));
  return {};
}

Status timeline_create(Task& task, Env& env, const Globals& globals, const TimelineOptions& options) {
  if (options.pg_version != "15")
    return Error(Code::Unsupported,
                 "PostgreSQL " + options.pg_version + " is not supported: this build knows 15");
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  TRY(check_new_name(session, tenant, options.branch_name));
  TRY_ASSIGN(TimelineId timeline, new_timeline_id(env, options.timeline_id));
  TRY(create_root_timeline(task, session, tenant, timeline, options.branch_name, options.data_checksums));
  if (globals.json)
    globals.answer({{"timeline_id", to_string(timeline)}, {"branch_name", options.branch_name}});
  else
    session.say(fmt::format("Created timeline '{}' for tenant: {}", to_string(timeline), to_string(tenant)));
  return {};
}

Status timeline_branch(Task& task, Env& env, const Globals& globals, const TimelineOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  TRY(check_new_name(session, tenant, options.branch_name));
  TRY_ASSIGN(TimelineId ancestor, session.state().branch(tenant, options.ancestor_branch_name));
  TRY_ASSIGN(TimelineId timeline, new_timeline_id(env, options.timeline_id));
  nlohmann::json body = {{"new_timeline_id", to_string(timeline)},
                         {"mode", "branch"},
                         {"ancestor_timeline_id", to_string(ancestor)}};
  TRY_ASSIGN(Lsn start, start_of_branch(task, session, {tenant, ancestor}, options));
  body["ancestor_start_lsn"] = to_string(start);
  TRY_ASSIGN(nlohmann::json made,
             session.pageserver(task, "POST", "/v1/tenant/" + to_string(tenant) + "/timeline", body));
  session.state().tenants[tenant].branches[options.branch_name] = timeline;
  TRY(session.save());
  TRY(create_on_safekeepers(task, session, {tenant, timeline}, made));
  std::string at = made.is_object() ? http::text_at(made, "ancestor_lsn") : "";
  if (globals.json) {
    globals.answer({{"timeline_id", to_string(timeline)},
                    {"branch_name", options.branch_name},
                    {"ancestor_timeline_id", to_string(ancestor)},
                    {"ancestor_lsn", at}});
    return {};
  }
  session.say(fmt::format("Created timeline '{}' at Lsn {} for tenant: {}. Ancestor timeline: '{}'",
                          to_string(timeline), at, to_string(tenant), options.ancestor_branch_name));
  return {};
}

}  // namespace argon::cli
