// tenant create / list / set-default, timeline create / branch / list.

#include <sys/stat.h>

#include <cstdio>

#include "core/base/random.h"
#include "core/env/io.h"
#include "core/env/process.h"
#include "daemons/argon/commands.h"
#include "daemons/argon/files.h"

namespace argon::cli {
namespace {

constexpr uint32_t kSegmentSize = 16u << 20;

std::string member(const SafekeeperSettings& safekeeper) {
  return safekeeper.listen_pg.host + ":" + std::to_string(safekeeper.listen_pg.port);
}

// A cluster by initdb, made once and kept; every root timeline begins as a copy of it.
Result<std::string> initdb_template(Context& context) {
  std::string path = context.path("initdb-15");
  if (exists(path + "/complete")) return path + "/data";
  std::fprintf(stderr, "running initdb (once)\n");
  TRY(remove_tree(context.task, context.env.disk(), path));
  TRY(make_folder(path));
  std::string user = is_root() ? context.settings.postgres.user : "";
  TRY(give_to(path, user));
  SpawnOptions options;
  options.argv = {context.settings.postgres.bin_dir + "/initdb",
                  "-D",
                  path + "/data",
                  "--username=cloud_admin",
                  "--encoding=UTF8",
                  "--locale=C.UTF-8",
                  "--auth=trust",
                  "--no-sync",
                  "--no-instructions"};
  options.environment = {{"PATH", "/usr/bin:/bin"}, {"TZ", "UTC"}};
  options.working_directory = path;
  options.user = user;
  options.out = ChildStream::file(path + "/initdb.log");
  options.err = ChildStream::file(path + "/initdb.log");
  TRY_ASSIGN(std::unique_ptr<Process> initdb, context.env.processes()->spawn(context.task, options));
  TRY_ASSIGN(ExitStatus status, initdb->wait(context.task));
  if (!status.clean()) {
    Result<std::string> log = read_text(path + "/initdb.log");
    return Error(Code::Unavailable, "initdb failed: " + (log.ok() ? *log : log.error().message()));
  }
  TRY(write_text(path + "/complete", ""));
  return path + "/data";
}

// The safekeepers must know a timeline before its first endpoint starts.
Status create_on_safekeepers(Context& context, TenantId tenant, const nlohmann::json& detail) {
  nlohmann::json members = nlohmann::json::array();
  for (const SafekeeperSettings& safekeeper : context.settings.safekeepers)
    members.push_back(
        {{"id", safekeeper.id}, {"host", safekeeper.listen_pg.host}, {"pg_port", safekeeper.listen_pg.port}});
  std::string start = detail.contains("ancestor_lsn") && detail["ancestor_lsn"].is_string()
                          ? detail["ancestor_lsn"].get<std::string>()
                          : detail.at("last_record_lsn").get<std::string>();
  nlohmann::json body = {{"tenant_id", to_string(tenant)},
                         {"timeline_id", detail.at("timeline_id")},
                         {"mconf", {{"generation", 1}, {"members", members}}},
                         {"pg_version", 150000},
                         {"system_id", detail.value("system_id", "0")},
                         {"wal_seg_size", kSegmentSize},
                         {"start_lsn", start}};
  size_t made = 0;
  Error last(Code::Unavailable, "no safekeeper");
  for (const SafekeeperSettings& safekeeper : context.settings.safekeepers) {
    Result<nlohmann::json> answer = context.safekeeper(safekeeper, "POST", "/v1/tenant/timeline", body);
    if (answer.ok()) {
      made++;
      continue;
    }
    last = answer.error();
    std::fprintf(stderr, "warning: %s (it learns of the timeline from its first endpoint)\n",
                 last.to_string().c_str());
  }
  if (made * 2 > context.settings.safekeepers.size()) return {};
  return last.with("create the timeline on a quorum of safekeepers");
}

Status name_branch(Context& context, TenantId tenant, const std::string& branch, TimelineId timeline) {
  context.state.tenants[tenant].branches[branch] = timeline;
  return context.save_state();
}

Status check_new_branch(const Context& context, TenantId tenant, const std::string& name) {
  if (name.empty()) return Error(Code::Invalid, "a branch needs a name: --branch-name");
  auto found = context.state.tenants.find(tenant);
  if (found != context.state.tenants.end() && found->second.branches.contains(name))
    return Error(Code::AlreadyExists, "tenant " + to_string(tenant) + " has a branch '" + name + "' already");
  return {};
}

Result<TimelineId> new_timeline_id(Context& context, const std::string& text) {
  if (!text.empty()) return parse_timeline_id(text);
  return random_timeline_id(context.env.random("cli.timeline"));
}

// Draws the timelines below `ancestor`, each with its branch point.
void draw(const Context& context, TenantId tenant, const std::vector<nlohmann::json>& timelines,
          const std::string& ancestor, const std::string& indent, std::string& out) {
  std::vector<const nlohmann::json*> children;
  for (const nlohmann::json& timeline : timelines) {
    std::string parent = timeline.value("ancestor_timeline_id", "");
    if (parent == ancestor) children.push_back(&timeline);
  }
  for (size_t i = 0; i < children.size(); i++) {
    const nlohmann::json& timeline = *children[i];
    std::string id = timeline.at("timeline_id").get<std::string>();
    Result<TimelineId> parsed = parse_timeline_id(id);
    std::string name = parsed.ok() ? context.state.branch_name(tenant, *parsed) : id;
    bool last = i + 1 == children.size();
    out += "(L) " + indent;
    if (!ancestor.empty()) out += (last ? "┗━ @" : "┣━ @") + timeline.value("ancestor_lsn", "") + ": ";
    out += name + " [" + id + "]\n";
    draw(context, tenant, timelines, id, ancestor.empty() ? "" : indent + (last ? "   " : "┃  "), out);
  }
}

}  // namespace

Status create_root_timeline(Context& context, TenantId tenant, TimelineId timeline,
                            const std::string& branch) {
  TRY_ASSIGN(std::string data, initdb_template(context));
  nlohmann::json body = {
      {"new_timeline_id", to_string(timeline)}, {"pg_version", 15}, {"import_datadir", data}};
  TRY_ASSIGN(nlohmann::json detail,
             context.pageserver("POST", "/v1/tenant/" + to_string(tenant) + "/timeline", body,
                                Duration::seconds(300)));
  TRY(create_on_safekeepers(context, tenant, detail));
  return name_branch(context, tenant, branch, timeline);
}

Status tenant_create(Context& context, const TenantCreateOptions& options) {
  TRY(context.load());
  TenantId tenant = random_tenant_id(context.env.random("cli.tenant"));
  if (!options.tenant_id.empty()) {
    TRY_ASSIGN(tenant, parse_tenant_id(options.tenant_id));
  }
  if (context.state.tenants.contains(tenant))
    return Error(Code::AlreadyExists, "there is a tenant " + to_string(tenant) + " already");
  TRY_ASSIGN(TimelineId timeline, new_timeline_id(context, options.timeline_id));
  TRY(context.pageserver("POST", "/v1/tenant/" + to_string(tenant), nlohmann::json::object()));
  TRY(create_root_timeline(context, tenant, timeline, "main"));
  if (options.set_default) {
    context.state.default_tenant = tenant;
    TRY(context.save_state());
  }
  if (context.json) {
    nlohmann::json out = {
        {"tenant_id", to_string(tenant)}, {"timeline_id", to_string(timeline)}, {"branch", "main"}};
    std::printf("%s\n", out.dump().c_str());
    return {};
  }
  std::printf("tenant %s successfully created on the pageserver\n", to_string(tenant).c_str());
  std::printf("Created an initial timeline '%s' (branch main) for tenant: %s\n", to_string(timeline).c_str(),
              to_string(tenant).c_str());
  if (options.set_default) std::printf("Setting tenant %s as a default one\n", to_string(tenant).c_str());
  return {};
}

Status tenant_list(Context& context) {
  TRY(context.load());
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [id, tenant] : context.state.tenants) {
    bool is_default = context.state.default_tenant == id;
    list.push_back(
        {{"tenant_id", to_string(id)}, {"default", is_default}, {"branches", tenant.branches.size()}});
    if (!context.json) std::printf("%s%s\n", to_string(id).c_str(), is_default ? " (default)" : "");
  }
  if (context.json) std::printf("%s\n", list.dump().c_str());
  return {};
}

Status tenant_set_default(Context& context, const std::string& tenant_id) {
  TRY(context.load());
  if (tenant_id.empty()) return Error(Code::Invalid, "which tenant? Give --tenant-id");
  TRY_ASSIGN(TenantId tenant, context.tenant(tenant_id));
  context.state.default_tenant = tenant;
  TRY(context.save_state());
  std::printf("Setting tenant %s as a default one\n", to_string(tenant).c_str());
  return {};
}

Status timeline_create(Context& context, const TimelineOptions& options) {
  TRY(context.load());
  TRY_ASSIGN(TenantId tenant, context.tenant(options.tenant_id));
  TRY(check_new_branch(context, tenant, options.branch_name));
  TRY_ASSIGN(TimelineId timeline, new_timeline_id(context, options.timeline_id));
  TRY(create_root_timeline(context, tenant, timeline, options.branch_name));
  if (context.json)
    std::printf(
        "%s\n",
        nlohmann::json{{"timeline_id", to_string(timeline)}, {"branch", options.branch_name}}.dump().c_str());
  else
    std::printf("Created timeline '%s' (branch %s) for tenant: %s\n", to_string(timeline).c_str(),
                options.branch_name.c_str(), to_string(tenant).c_str());
  return {};
}

Status timeline_branch(Context& context, const TimelineOptions& options) {
  TRY(context.load());
  TRY_ASSIGN(TenantId tenant, context.tenant(options.tenant_id));
  TRY(check_new_branch(context, tenant, options.branch_name));
  TRY_ASSIGN(TimelineId ancestor, context.branch(tenant, options.ancestor_branch_name));
  TRY_ASSIGN(TimelineId timeline, new_timeline_id(context, options.timeline_id));
  nlohmann::json body = {{"new_timeline_id", to_string(timeline)},
                         {"ancestor_timeline_id", to_string(ancestor)}};
  if (!options.ancestor_start_lsn.empty()) {
    TRY_ASSIGN(Lsn lsn, parse_lsn(options.ancestor_start_lsn));
    body["ancestor_start_lsn"] = to_string(lsn);
  }
  TRY_ASSIGN(nlohmann::json detail,
             context.pageserver("POST", "/v1/tenant/" + to_string(tenant) + "/timeline", body));
  TRY(create_on_safekeepers(context, tenant, detail));
  TRY(name_branch(context, tenant, options.branch_name, timeline));
  std::string lsn = detail.value("ancestor_lsn", "");
  if (context.json) {
    nlohmann::json out = {{"timeline_id", to_string(timeline)},
                          {"branch", options.branch_name},
                          {"ancestor_branch", options.ancestor_branch_name},
                          {"ancestor_lsn", lsn}};
    std::printf("%s\n", out.dump().c_str());
  } else {
    std::printf("Created timeline '%s' at Lsn %s for tenant: %s. Ancestor timeline: '%s'\n",
                to_string(timeline).c_str(), lsn.c_str(), to_string(tenant).c_str(),
                options.ancestor_branch_name.c_str());
  }
  return {};
}

Status timeline_list(Context& context, const std::string& tenant_id) {
  TRY(context.load());
  TRY_ASSIGN(TenantId tenant, context.tenant(tenant_id));
  TRY_ASSIGN(nlohmann::json list, context.pageserver("GET", "/v1/tenant/" + to_string(tenant) + "/timeline"));
  std::vector<nlohmann::json> timelines(list.begin(), list.end());
  for (nlohmann::json& timeline : timelines) {
    Result<TimelineId> id = parse_timeline_id(timeline.value("timeline_id", ""));
    if (id.ok()) timeline["branch"] = context.state.branch_name(tenant, *id);
    if (timeline.contains("ancestor_timeline_id") && timeline["ancestor_timeline_id"].is_null())
      timeline.erase("ancestor_timeline_id");
  }
  std::sort(timelines.begin(), timelines.end(), [](const nlohmann::json& a, const nlohmann::json& b) {
    return a.value("branch", "") < b.value("branch", "");
  });
  if (context.json) {
    std::printf("%s\n", nlohmann::json(timelines).dump().c_str());
    return {};
  }
  std::string out;
  draw(context, tenant, timelines, "", "", out);
  std::printf("%s", out.c_str());
  return {};
}

}  // namespace argon::cli
