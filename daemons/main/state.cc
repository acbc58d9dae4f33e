#include "daemons/main/state.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "daemons/main/files.h"

namespace argon::cli {
namespace {

using nlohmann::json;

Result<json> load_json(const std::string& path) {
  TRY_ASSIGN(std::string text, read_text(path));
  json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return Error(Code::Corrupt, path + " is not JSON");
  if (!parsed.is_object() || parsed.value("version", 0) != 1)
    return Error(Code::Unsupported, path + " has a version this build does not know");
  return parsed;
}

std::string names(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& one : list) text += (text.empty() ? "" : ", ") + one;
  return text.empty() ? "none" : text;
}

Result<State> parse_state(const json& j) {
  State state;
  for (const auto& [tenant_text, entry] : j.at("tenants").items()) {
    TRY_ASSIGN(TenantId tenant, parse_tenant_id(tenant_text));
    for (const auto& [name, timeline_text] : entry.at("branches").items()) {
      TRY_ASSIGN(TimelineId timeline, parse_timeline_id(timeline_text.get<std::string>()));
      state.tenants[tenant].branches[name] = timeline;
    }
    state.tenants[tenant].pageserver = entry.value("pageserver", uint64_t{0});
  }
  if (j.contains("default_tenant")) {
    TRY_ASSIGN(state.default_tenant, parse_tenant_id(j.at("default_tenant").get<std::string>()));
  }
  return state;
}

Result<Endpoint> parse_endpoint(const json& j) {
  Endpoint endpoint;
  endpoint.name = j.at("name").get<std::string>();
  endpoint.branch = j.at("branch").get<std::string>();
  TRY_ASSIGN(endpoint.id.tenant, parse_tenant_id(j.at("tenant").get<std::string>()));
  TRY_ASSIGN(endpoint.id.timeline, parse_timeline_id(j.at("timeline").get<std::string>()));
  TRY_ASSIGN(endpoint.mode, compute::parse_endpoint_mode(j.at("mode").get<std::string>()));
  if (j.contains("lsn")) {
    TRY_ASSIGN(endpoint.static_lsn, parse_lsn(j.at("lsn").get<std::string>()));
  }
  TRY_ASSIGN(endpoint.listen, parse_address(j.at("listen").get<std::string>()));
  TRY_ASSIGN(endpoint.listen_http, parse_address(j.at("listen_http").get<std::string>()));
  if (j.contains("system_id")) {
    TRY_ASSIGN(endpoint.system_id, parse_u64(j.at("system_id").get<std::string>()));
  }
  if (j.contains("suspend_after_s"))
    endpoint.suspend_after = Duration::seconds(j.at("suspend_after_s").get<int64_t>());
  endpoint.settings = j.at("settings").get<std::vector<std::string>>();
  return endpoint;
}

// A missing or mistyped key throws inside the parser; here it becomes an error that names the file.
template <typename T>
Result<T> parse_as(const std::string& path, const json& j, Result<T> (*parse)(const json&)) {
  try {
    return parse(j).with(path);
  } catch (const json::exception& error) {
    return Error(Code::Corrupt, path + ": " + error.what());
  }
}

std::string endpoint_file(const Config& config, const std::string& name) {
  return config.endpoint_dir(name) + "/endpoint.json";
}

}  // namespace

Result<TenantId> State::tenant(const std::string& option) const {
  if (!option.empty()) {
    TRY_ASSIGN(TenantId id, parse_tenant_id(option));
    if (!tenants.contains(id))
      return Error(Code::NotFound, "there is no tenant " + option + " (see `argon tenant list`)");
    return id;
  }
  if (default_tenant) return *default_tenant;
  return Error(
      Code::NotFound,
      "no tenant given and no default tenant set: use --tenant-id, or `argon tenant create --set-default`");
}

uint64_t State::pageserver_of(const TenantId& tenant) const {
  auto entry = tenants.find(tenant);
  return entry == tenants.end() ? 0 : entry->second.pageserver;
}

Result<TimelineId> State::branch(const TenantId& tenant, const std::string& name) const {
  auto entry = tenants.find(tenant);
  std::vector<std::string> there;
  if (entry != tenants.end()) {
    auto at = entry->second.branches.find(name);
    if (at != entry->second.branches.end()) return at->second;
    for (const auto& [one, id] : entry->second.branches) there.push_back(one);
  }
  return Error(Code::NotFound, "there is no timeline with branch name '" + name + "' in tenant " +
                                   to_string(tenant) + " (there are: " + names(there) + ")");
}

std::string State::branch_name(const TenantId& tenant, const TimelineId& timeline) const {
  auto entry = tenants.find(tenant);
  if (entry == tenants.end()) return {};
  for (const auto& [name, id] : entry->second.branches)
    if (id == timeline) return name;
  return {};
}

Status check_utf8(const std::string& text) {
  try {
    json(text).dump();
    return {};
  } catch (const json::exception&) {
    return Error(Code::Invalid, "'" + text + "' is not UTF-8");
  }
}

Result<State> load_state(const Config& config) {
  std::string path = config.path("state.json");
  if (!std::filesystem::exists(path)) return State{};
  TRY_ASSIGN(json j, load_json(path));
  return parse_as<State>(path, j, parse_state);
}

Status save_state(const Config& config, const State& state) {
  json tenants = json::object();
  for (const auto& [tenant, entry] : state.tenants) {
    json branches = json::object();
    for (const auto& [name, timeline] : entry.branches) branches[name] = to_string(timeline);
    tenants[to_string(tenant)] = {{"branches", branches}};
    if (entry.pageserver != 0) tenants[to_string(tenant)]["pageserver"] = entry.pageserver;
  }
  json j = {{"version", 1}, {"tenants", tenants}};
  if (state.default_tenant) j["default_tenant"] = to_string(*state.default_tenant);
  return write_text(config.path("state.json"), j.dump(2) + "\n");
}

Result<Endpoint> load_endpoint(const Config& config, const std::string& name) {
  std::string path = endpoint_file(config, name);
  if (name.find('/') != std::string::npos || !std::filesystem::exists(path)) {
    std::vector<std::string> there;
    TRY_ASSIGN(std::vector<Endpoint> all, load_endpoints(config));
    for (const Endpoint& one : all) there.push_back(one.name);
    return Error(Code::NotFound, "there is no endpoint '" + name + "' (there are: " + names(there) + ")");
  }
  TRY_ASSIGN(json j, load_json(path));
  return parse_as<Endpoint>(path, j, parse_endpoint);
}

Status save_endpoint(const Config& config, const Endpoint& endpoint) {
  json j = {{"version", 1},
            {"name", endpoint.name},
            {"tenant", to_string(endpoint.id.tenant)},
            {"timeline", to_string(endpoint.id.timeline)},
            {"branch", endpoint.branch},
            {"mode", std::string(to_string(endpoint.mode))},
            {"listen", to_string(endpoint.listen)},
            {"listen_http", to_string(endpoint.listen_http)},
            {"settings", endpoint.settings}};
  if (endpoint.system_id != 0) j["system_id"] = std::to_string(endpoint.system_id);
  if (endpoint.suspend_after > Duration()) j["suspend_after_s"] = endpoint.suspend_after.to_seconds();
  if (endpoint.static_lsn.valid()) j["lsn"] = to_string(endpoint.static_lsn);
  return write_text(endpoint_file(config, endpoint.name), j.dump(2) + "\n");
}

Result<std::vector<Endpoint>> load_endpoints(const Config& config) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(config.path("endpoints"), ignored))
    if (std::filesystem::exists(entry.path() / "endpoint.json")) found.push_back(entry.path().filename());
  std::sort(found.begin(), found.end());
  std::vector<Endpoint> endpoints;
  for (const std::string& name : found) {
    TRY_ASSIGN(Endpoint endpoint, load_endpoint(config, name));
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

}  // namespace argon::cli
