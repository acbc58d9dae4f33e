// tenant create, list, set-default.

#include <fmt/format.h>

#include <ranges>

#include "core/pageserver/tenant_config.h"
#include "daemons/main/commands.h"

namespace argon::cli {
namespace {

Status check_pg_version(const std::string& text) {
  if (text == "15") return {};
  return Error(Code::Unsupported, "PostgreSQL " + text + " is not supported: this build knows 15");
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (const auto part : std::views::split(list, ','))
    if (!part.empty()) parts.emplace_back(part.begin(), part.end());
  return parts;
}

}  // namespace

Status tenant_create(Task& task, Env& env, const Globals& globals, const TenantOptions& options) {
  TRY(check_pg_version(options.pg_version));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TenantId tenant = random_tenant_id(env.random("argon.tenant_id"));
  TimelineId timeline = random_timeline_id(env.random("argon.timeline_id"));
  if (!options.tenant_id.empty()) {
    TRY_ASSIGN(tenant, parse_tenant_id(options.tenant_id));
  }
  if (!options.timeline_id.empty()) {
    TRY_ASSIGN(timeline, parse_timeline_id(options.timeline_id));
  }
  if (session.state().tenants.contains(tenant) && session.state().tenants[tenant].branches.contains("main"))
    return Error(Code::AlreadyExists, "tenant " + to_string(tenant) + " exists already");
  TRY(session.pageserver(task, "POST", "/v1/tenant", {{"new_tenant_id", to_string(tenant)}})
          .with("create tenant " + to_string(tenant)));
  if (!globals.json) session.say("tenant " + to_string(tenant) + " successfully created on the pageserver");
  session.state().tenants.try_emplace(tenant);
  TRY(session.save());
  TRY(create_root_timeline(task, session, tenant, timeline, "main", options.data_checksums));
  if (options.set_default) session.state().default_tenant = tenant;
  TRY(session.save());
  if (globals.json) {
    globals.answer({{"tenant_id", to_string(tenant)},
                    {"timeline_id", to_string(timeline)},
                    {"branch_name", "main"},
                    {"default", options.set_default}});
    return {};
  }
  session.say("Created an initial timeline 'main' [" + to_string(timeline) +
              "] for tenant: " + to_string(tenant));
  if (options.set_default) session.say("Setting tenant " + to_string(tenant) + " as a default one");
  return {};
}

Status tenant_list(Task& task, Env& env, const Globals& globals) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [tenant, entry] : session.state().tenants) {
    bool is_default = session.state().default_tenant == tenant;
    list.push_back(
        {{"tenant_id", to_string(tenant)}, {"default", is_default}, {"timelines", entry.branches.size()}});
    if (!globals.json) session.say(to_string(tenant) + (is_default ? " (default)" : ""));
  }
  if (globals.json) globals.answer(list);
  return {};
}

namespace {

// What the options change. The pageserver checks it.
bool change_config(nlohmann::json& config, const TenantOptions& options) {
  nlohmann::json before = config;
  auto set = [&](const char* key, const auto& option) {
    if (option) config[key] = *option;
  };
  if (options.redo_extensions) config["redo_extensions"] = split(*options.redo_extensions);
  set("pitr_interval", options.pitr_interval);
  set("gc_horizon", options.gc_horizon);
  set("gc_period", options.gc_period);
  set("lsn_lease_length", options.lsn_lease_length);
  set("heatmap_period", options.heatmap_period);
  return config != before;
}

bool is_change(const TenantOptions& options) {
  return options.redo_extensions || options.pitr_interval || options.gc_horizon || options.gc_period ||
         options.lsn_lease_length || options.heatmap_period;
}

}  // namespace

Status tenant_config(Task& task, Env& env, const Globals& globals, const TenantOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, is_change(options)));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  std::string path = "/v1/tenant/" + to_string(tenant) + "/config";
  TRY_ASSIGN(nlohmann::json config, session.pageserver(task, "GET", path));
  if (change_config(config, options)) {
    TRY_ASSIGN(config, session.pageserver(task, "PUT", path, config));
  }
  if (globals.json) {
    globals.answer({{"tenant_id", to_string(tenant)}, {"config", config}});
    return {};
  }
  session.say("configuration of tenant " + to_string(tenant) + ":");
  std::string libraries;
  for (const auto& one : config.value("redo_extensions", nlohmann::json::array()))
    libraries += (libraries.empty() ? "" : ", ") + one.get<std::string>();
  session.say("  redo_extensions = " + (libraries.empty() ? "(none)" : libraries));
  // Only what is not as usual is in the configuration.
  auto show = [&](const char* key, const std::string& usual) {
    auto at = config.find(key);
    session.say(fmt::format("  {} = {}", key,
                            at == config.end() ? usual + " (usual)"
                            : at->is_string()  ? at->get<std::string>()
                                               : at->dump()));
  };
  const pageserver::GcSettings usual;
  show("pitr_interval", pageserver::duration_text(usual.pitr_interval));
  show("gc_horizon", std::to_string(usual.horizon));
  show("gc_period", pageserver::duration_text(usual.period));
  show("lsn_lease_length", pageserver::duration_text(usual.lease));
  show("heatmap_period", "0s");
  return {};
}

Status tenant_set_default(Task& task, Env& env, const Globals& globals, const TenantOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(TenantId tenant, session.state().tenant(options.tenant_id));
  session.state().default_tenant = tenant;
  TRY(session.save());
  if (globals.json)
    globals.answer({{"tenant_id", to_string(tenant)}, {"default", true}});
  else
    session.say("Setting tenant " + to_string(tenant) + " as a default one");
  return {};
}

}  // namespace argon::cli
