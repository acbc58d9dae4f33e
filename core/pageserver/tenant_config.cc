#include "core/pageserver/tenant_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace argon::pageserver {
namespace {

using nlohmann::json;

constexpr size_t kLibrariesMax = 16;

// A name or an absolute path. It becomes part of a list and of a command line.
Status check_library(const std::string& name) {
  auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-.+/").contains(c);
  };
  if (!name.empty() && name.size() <= 255 && std::ranges::all_of(name, plain)) return {};
  return Error(Code::Invalid, "'" + name + "' is no library: a name or an absolute path is expected");
}

Result<std::vector<std::string>> parse_libraries(const json& list) {
  if (!list.is_array() || list.size() > kLibrariesMax)
    return Error(Code::Invalid,
                 "a list of at most " + std::to_string(kLibrariesMax) + " libraries is expected");
  std::vector<std::string> libraries;
  for (const json& one : list) {
    if (!one.is_string()) return Error(Code::Invalid, "a library is not a text");
    TRY(check_library(one.get<std::string>()));
    libraries.push_back(one.get<std::string>());
  }
  return libraries;
}

}  // namespace

std::string to_json(const TenantConfig& config) {
  json out = json::object();
  if (!config.redo_extensions.empty()) out["redo_extensions"] = config.redo_extensions;
  return out.dump();
}

Result<TenantConfig> parse_tenant_config(std::string_view text) {
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return Error(Code::Invalid, "a tenant's configuration must be a JSON object");
  TenantConfig config;
  for (const auto& [key, value] : parsed.items()) {
    if (key != "redo_extensions")
      return Error(Code::Invalid, "a tenant's configuration has no '" + key + "'");
    auto libraries = parse_libraries(value);
    if (!libraries.ok()) return libraries.error().with(key);
    config.redo_extensions = std::move(*libraries);
  }
  return config;
}

}  // namespace argon::pageserver
