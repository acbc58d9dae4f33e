#include "daemons/argon/endpoint.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "daemons/argon/files.h"

namespace argon::cli {
namespace {

constexpr size_t kNameMax = 63;

Result<Endpoint> parse_endpoint(const nlohmann::json& json) {
  Endpoint endpoint;
  endpoint.name = json.at("name").get<std::string>();
  endpoint.branch = json.at("branch").get<std::string>();
  endpoint.pg_port = json.at("pg_port").get<uint16_t>();
  endpoint.http_port = json.at("http_port").get<uint16_t>();
  endpoint.settings = json.at("settings").get<std::vector<std::string>>();
  TRY_ASSIGN(endpoint.tenant, parse_tenant_id(json.at("tenant_id").get<std::string>()));
  TRY_ASSIGN(endpoint.timeline, parse_timeline_id(json.at("timeline_id").get<std::string>()));
  TRY_ASSIGN(endpoint.mode, compute::parse_endpoint_mode(json.at("mode").get<std::string>()));
  if (json.contains("lsn")) {
    TRY_ASSIGN(endpoint.static_lsn, parse_lsn(json.at("lsn").get<std::string>()));
  }
  return endpoint;
}

std::vector<std::string> endpoint_names(const Context& context) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(context.path("endpoints"), none))
    if (exists(entry.path().string() + "/endpoint.json")) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Status check_endpoint_name(const std::string& name) {
  bool good =
      !name.empty() && name.size() <= kNameMax && std::isalnum(static_cast<unsigned char>(name[0])) != 0;
  for (char c : name)
    good = good && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.');
  if (good) return {};
  return Error(Code::Invalid,
               "'" + name +
                   "' is no name for an endpoint: expected letters, digits, '-', '_' and '.', at most " +
                   std::to_string(kNameMax) + ", beginning with a letter or digit");
}

Result<Endpoint> load_endpoint(const Context& context, const std::string& name) {
  TRY(check_endpoint_name(name));
  std::string path = context.path("endpoints/" + name + "/endpoint.json");
  Result<std::string> text = read_text(path);
  if (text.is(Code::NotFound)) {
    std::string names;
    for (const std::string& other : endpoint_names(context)) names += (names.empty() ? "" : ", ") + other;
    return Error(Code::NotFound,
                 "there is no endpoint '" + name + "'; there are: " + (names.empty() ? "none" : names));
  }
  TRY(text);
  // The library throws on values of the wrong kind.
  try {
    return parse_endpoint(nlohmann::json::parse(*text)).with(path);
  } catch (const nlohmann::json::exception& e) {
    return Error(Code::Corrupt, path + ": " + e.what());
  }
}

Status store_endpoint(const Context& context, const Endpoint& endpoint) {
  TRY(make_folder(endpoint.folder(context)));
  TRY(give_to(endpoint.folder(context), is_root() ? context.settings.postgres.user : ""));
  nlohmann::json json = {{"name", endpoint.name},
                         {"tenant_id", to_string(endpoint.tenant)},
                         {"timeline_id", to_string(endpoint.timeline)},
                         {"branch", endpoint.branch},
                         {"mode", std::string(compute::to_string(endpoint.mode))},
                         {"pg_port", endpoint.pg_port},
                         {"http_port", endpoint.http_port},
                         {"settings", endpoint.settings}};
  if (endpoint.mode == compute::EndpointMode::Static) json["lsn"] = to_string(endpoint.static_lsn);
  return write_text(endpoint.folder(context) + "/endpoint.json", json.dump(2) + "\n");
}

Result<std::vector<Endpoint>> list_endpoints(const Context& context) {
  std::vector<Endpoint> endpoints;
  for (const std::string& name : endpoint_names(context)) {
    TRY_ASSIGN(Endpoint endpoint, load_endpoint(context, name));
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

Result<compute::ComputeConfig> compute_config(const Context& context, const Endpoint& endpoint) {
  compute::ComputeConfig config;
  config.endpoint = endpoint.name;
  config.id = {endpoint.tenant, endpoint.timeline};
  config.mode = endpoint.mode;
  config.static_lsn = endpoint.static_lsn;
  config.directory = endpoint.folder(context);
  config.postgres_bin = context.settings.postgres.bin_dir;
  config.postgres_user = is_root() ? context.settings.postgres.user : "";
  TRY_ASSIGN(config.extension, find_extension());
  config.listen = Address::tcp("127.0.0.1", endpoint.pg_port);
  config.http_listen = Address::tcp("127.0.0.1", endpoint.http_port);
  config.pageserver = context.settings.pageserver.listen_pg;
  config.safekeepers.generation = consensus::ConfigurationGeneration(1);
  for (const SafekeeperSettings& safekeeper : context.settings.safekeepers)
    config.safekeepers.members.push_back(
        {NodeId(safekeeper.id), safekeeper.listen_pg.host, safekeeper.listen_pg.port});
  config.settings = endpoint.settings;
  return config;
}

Daemon endpoint_daemon(const Context& context, const Endpoint& endpoint) {
  return {"endpoint " + endpoint.name,
          {"compute", "--endpoint", endpoint.name, "--dir", context.dir},
          endpoint.pid_file(context),
          endpoint.folder(context) + "/compute.log",
          Address::tcp("127.0.0.1", endpoint.http_port),
          "/status",
          "running"};
}

Result<std::string> find_extension() {
  std::error_code failed;
  std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return Error(Code::Io, "find this program's path: " + failed.message());
  std::filesystem::path root = program.parent_path().parent_path();
  for (const char* place : {"lib/argon.so", "lib/argon/argon.so"})
    if (std::filesystem::exists(root / place)) return (root / place).string();
  return Error(Code::NotFound, "argon.so (the extension for PostgreSQL) is neither in " +
                                   (root / "lib").string() + " nor in " + (root / "lib/argon").string() +
                                   ": build the target pgext, or install again");
}

}  // namespace argon::cli
