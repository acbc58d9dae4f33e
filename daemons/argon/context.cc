#include "daemons/argon/context.h"

#include <cstdio>

#include "core/http/client.h"

namespace argon::cli {

Status Context::load() {
  TRY_ASSIGN(settings, load_settings(path("argon.toml")));
  TRY_ASSIGN(state, load_state(path("state.json")));
  return {};
}

Status Context::save_state() {
  return store_state(path("state.json"), state);
}

Result<TenantId> Context::tenant(const std::string& text) const {
  if (text.empty()) {
    if (state.default_tenant) return *state.default_tenant;
    return Error(Code::NotFound,
                 "no tenant was named and there is no default one: `argon tenant create --set-default`, or "
                 "--tenant-id");
  }
  TRY_ASSIGN(TenantId id, parse_tenant_id(text));
  if (!state.tenants.contains(id))
    return Error(Code::NotFound,
                 "there is no tenant " + text + " here; `argon tenant list` shows those there are");
  return id;
}

Result<TimelineId> Context::branch(TenantId tenant, const std::string& name) const {
  const TenantState& tenant_state = state.tenants.at(tenant);
  auto found = tenant_state.branches.find(name);
  if (found != tenant_state.branches.end()) return found->second;
  std::string names;
  for (const auto& [other, id] : tenant_state.branches) names += (names.empty() ? "" : ", ") + other;
  return Error(Code::NotFound, "tenant " + to_string(tenant) + " has no branch '" + name +
                                   "'; it has: " + (names.empty() ? "none" : names));
}

Result<nlohmann::json> Context::pageserver(const std::string& method, const std::string& target,
                                           const nlohmann::json& body, Duration timeout) {
  Deadline deadline(task, timeout);
  return http::fetch_json(task, settings.pageserver.listen_http, method, target, body)
      .with("pageserver at " + argon::to_string(settings.pageserver.listen_http));
}

Result<nlohmann::json> Context::safekeeper(const SafekeeperSettings& safekeeper, const std::string& method,
                                           const std::string& target, const nlohmann::json& body) {
  Deadline deadline(task, Duration::seconds(30));
  return http::fetch_json(task, safekeeper.listen_http, method, target, body)
      .with("safekeeper " + std::to_string(safekeeper.id) + " at " +
            argon::to_string(safekeeper.listen_http));
}

std::string timeline_target(TenantId tenant, TimelineId timeline) {
  return "/v1/tenant/" + to_string(tenant) + "/timeline/" + to_string(timeline);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); i++) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); i++) {
      text += row[i];
      if (i + 1 < row.size()) text += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

std::vector<Daemon> storage_daemons(const Context& context) {
  auto daemon = [&](const std::string& name, std::vector<std::string> arguments, const Address& status) {
    arguments.insert(arguments.end(), {"--dir", context.dir});
    return Daemon{name, std::move(arguments), context.path(name + "/" + name + ".pid"),
                  context.path(name + "/" + name + ".log"), status};
  };
  std::vector<Daemon> daemons;
  daemons.push_back(daemon("broker", {"broker"}, context.settings.broker.listen_http));
  daemons.push_back(daemon("pageserver", {"pageserver"}, context.settings.pageserver.listen_http));
  for (const SafekeeperSettings& safekeeper : context.settings.safekeepers) {
    std::string id = std::to_string(safekeeper.id);
    daemons.push_back(daemon("safekeeper-" + id, {"safekeeper", "run", "--id", id}, safekeeper.listen_http));
  }
  return daemons;
}

}  // namespace argon::cli
