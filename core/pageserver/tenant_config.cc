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

constexpr Duration kLongest = Duration::seconds(100LL * 365 * 24 * 3600);
constexpr Duration kShortestLease = Duration::seconds(1);

struct Unit {
  std::string_view name;
  Duration length;
};
constexpr Unit kUnits[] = {{"d", Duration::seconds(86'400)},
                           {"h", Duration::seconds(3600)},
                           {"m", Duration::seconds(60)},
                           {"s", Duration::seconds(1)},
                           {"ms", Duration::milliseconds(1)}};

Result<Duration> parse_duration(const json& value) {
  if (!value.is_string()) return Error(Code::Invalid, "a text like \"7d\" or \"1h30m\" is expected");
  return parse_duration_text(value.get<std::string>());
}

Status set_field(TenantConfig& config, const std::string& key, const json& value) {
  if (key == "redo_extensions") {
    TRY_ASSIGN(config.redo_extensions, parse_libraries(value));
  } else if (key == "pitr_interval") {
    TRY_ASSIGN(config.gc.pitr_interval, parse_duration(value));
  } else if (key == "gc_period") {
    TRY_ASSIGN(config.gc.period, parse_duration(value));
  } else if (key == "lsn_lease_length") {
    TRY_ASSIGN(config.gc.lease, parse_duration(value));
    if (config.gc.lease < kShortestLease) return Error(Code::Invalid, "at least 1s is expected");
  } else if (key == "heatmap_period") {
    TRY_ASSIGN(config.heatmap_period, parse_duration(value));
  } else if (key == "gc_horizon") {
    if (!value.is_number_unsigned()) return Error(Code::Invalid, "a number of bytes is expected");
    config.gc.horizon = value.get<uint64_t>();
  } else {
    return Error(Code::Invalid, "a tenant's configuration has no '" + key + "'");
  }
  return {};
}

}  // namespace

std::string duration_text(Duration duration) {
  std::string text;
  for (const Unit& unit : kUnits) {
    int64_t count = duration.ns / unit.length.ns;
    if (count > 0) text += std::to_string(count) + std::string(unit.name);
    duration = duration - unit.length * count;
  }
  return text.empty() ? "0s" : text;
}

Result<Duration> parse_duration_text(std::string_view text) {
  Error bad(Code::Invalid, "'" + std::string(text) +
                               "' is no duration: one like 7d, 1h30m, 10s or 500ms, of at "
                               "most 100 years, is expected");
  Duration sum;
  std::string_view rest = text;
  for (const Unit& unit : kUnits) {
    size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (digits == 0 || digits > 15) continue;
    std::string_view name = rest.substr(digits, rest.find_first_of("0123456789", digits) - digits);
    if (name != unit.name) continue;
    TRY_ASSIGN(uint64_t count, parse_u64(rest.substr(0, digits)));
    if (count > static_cast<uint64_t>((kLongest - sum).ns / unit.length.ns)) return bad;
    sum = sum + unit.length * static_cast<int64_t>(count);
    rest.remove_prefix(digits + name.size());
  }
  if (text.empty() || !rest.empty()) return bad;
  return sum;
}

std::string to_json(const TenantConfig& config) {
  json out = json::object();
  if (!config.redo_extensions.empty()) out["redo_extensions"] = config.redo_extensions;
  const GcSettings usual;
  if (config.gc.pitr_interval != usual.pitr_interval)
    out["pitr_interval"] = duration_text(config.gc.pitr_interval);
  if (config.gc.horizon != usual.horizon) out["gc_horizon"] = config.gc.horizon;
  if (config.gc.period != usual.period) out["gc_period"] = duration_text(config.gc.period);
  if (config.gc.lease != usual.lease) out["lsn_lease_length"] = duration_text(config.gc.lease);
  if (config.heatmap_period > Duration()) out["heatmap_period"] = duration_text(config.heatmap_period);
  return out.dump();
}

Result<TenantConfig> parse_tenant_config(std::string_view text) {
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return Error(Code::Invalid, "a tenant's configuration must be a JSON object");
  TenantConfig config;
  for (const auto& [key, value] : parsed.items()) {
    if (Status set = set_field(config, key, value); !set.ok()) return set.error().with(key);
  }
  return config;
}

}  // namespace argon::pageserver
