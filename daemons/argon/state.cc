#include "daemons/argon/state.h"

#include <nlohmann/json.hpp>

#include "daemons/argon/files.h"

namespace argon::cli {
namespace {

Result<State> parse_state(const nlohmann::json& json) {
  State state;
  if (json.contains("default_tenant")) {
    TRY_ASSIGN(TenantId id, parse_tenant_id(json["default_tenant"].get<std::string>()));
    state.default_tenant = id;
  }
  for (const auto& [tenant, value] : json.at("tenants").items()) {
    TRY_ASSIGN(TenantId id, parse_tenant_id(tenant));
    for (const auto& [branch, timeline] : value.at("branches").items()) {
      TRY_ASSIGN(TimelineId timeline_id, parse_timeline_id(timeline.get<std::string>()));
      state.tenants[id].branches[branch] = timeline_id;
    }
    state.tenants.try_emplace(id);
  }
  return state;
}

}  // namespace

std::string State::branch_name(TenantId tenant, TimelineId timeline) const {
  auto found = tenants.find(tenant);
  if (found != tenants.end())
    for (const auto& [name, id] : found->second.branches)
      if (id == timeline) return name;
  return to_string(timeline);
}

Result<State> load_state(const std::string& path) {
  Result<std::string> text = read_text(path);
  if (text.is(Code::NotFound)) return State();
  TRY(text);
  Error corrupt(Code::Corrupt,
                path + " is not what `argon` wrote: restore it from a copy; the names of branches are in it");
  // The library throws on values of the wrong kind.
  try {
    Result<State> state = parse_state(nlohmann::json::parse(*text));
    if (!state.ok()) return corrupt;
    return state;
  } catch (const nlohmann::json::exception&) {
    return corrupt;
  }
}

Status store_state(const std::string& path, const State& state) {
  nlohmann::json json = {{"tenants", nlohmann::json::object()}};
  if (state.default_tenant) json["default_tenant"] = to_string(*state.default_tenant);
  for (const auto& [id, tenant] : state.tenants) {
    nlohmann::json branches = nlohmann::json::object();
    for (const auto& [name, timeline] : tenant.branches) branches[name] = to_string(timeline);
    json["tenants"][to_string(id)] = {{"branches", branches}};
  }
  return write_text(path, json.dump(2) + "\n");
}

}  // namespace argon::cli
