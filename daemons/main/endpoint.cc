// endpoint create, start, stop, list.

#include <fmt/format.h>

#include <filesystem>

#include "daemons/main/commands.h"
#include "daemons/main/files.h"
#include "daemons/main/ports.h"
#include "daemons/posix/daemon.h"

namespace argon::cli {
namespace {

using namespace literals;

std::string pid_file(const Config& config, const Endpoint& endpoint) {
  return config.endpoint_dir(endpoint.name) + "/compute.pid";
}

std::string data_directory(const Config& config, const Endpoint& endpoint) {
  return config.endpoint_dir(endpoint.name) + "/pgdata";
}

// There while its operator wants it stopped.
std::string stopped_file(const Config& config, const Endpoint& endpoint) {
  return config.endpoint_dir(endpoint.name) + "/stopped";
}

std::string suspended_file(const Config& config, const Endpoint& endpoint) {
  return config.endpoint_dir(endpoint.name) + "/" + compute::kSuspendedFile;
}

bool may_run(const std::string& status) {
  return status == "running" || status == "crashed";
}

// At most one primary of a timeline may run.
Status check_no_other_primary(const Config& config, const Endpoint& wanted) {
  if (wanted.mode != compute::EndpointMode::Primary) return {};
  TRY_ASSIGN(std::vector<Endpoint> all, load_endpoints(config));
  for (const Endpoint& other : all)
    if (other.name != wanted.name && other.id == wanted.id && other.mode == wanted.mode &&
        may_run(endpoint_status(config, other)))
      return Error(
          Code::AlreadyExists,
          fmt::format("a second primary on one timeline: endpoint '{}' is a primary of branch '{}' already "
                      "and is {}; stop it first, or create a branch",
                      other.name, wanted.branch, endpoint_status(config, other)));
  return {};
}

Status read_mode(const EndpointOptions& options, Endpoint& endpoint) {
  if (!options.lsn.empty()) {
    TRY_ASSIGN(endpoint.static_lsn, parse_lsn(options.lsn));
    endpoint.mode = compute::EndpointMode::Static;
  }
  if (options.hot_standby == "true") endpoint.mode = compute::EndpointMode::Replica;
  if (!options.mode.empty()) {
    TRY_ASSIGN(endpoint.mode, compute::parse_endpoint_mode(options.mode));
  }
  bool is_static = endpoint.mode == compute::EndpointMode::Static;
  if (is_static && !endpoint.static_lsn.valid()) return Error(Code::Invalid, "a static endpoint needs --lsn");
  if (!is_static && endpoint.static_lsn.valid())
    return Error(Code::Invalid, "--lsn is for static endpoints only");
  return {};
}

// The port asked for, if it is free and not another endpoint's; else the next one that is.
Result<Address> choose_port(const Config& config, int asked, uint16_t first) {
  PortChooser ports(config.endpoint_host);
  TRY_ASSIGN(std::vector<Endpoint> all, load_endpoints(config));
  for (const Endpoint& other : all) {
    if (asked != 0 && (other.listen.port == asked || other.listen_http.port == asked))
      return Error(Code::AlreadyExists,
                   fmt::format("port {} belongs to endpoint '{}' already", asked, other.name));
    ports.reserve(other.listen.port);
    ports.reserve(other.listen_http.port);
  }
  if (asked < 0 || asked > 65535) return Error(Code::Invalid, fmt::format("{} is not a port", asked));
  if (asked != 0) return Address::tcp(config.endpoint_host, static_cast<uint16_t>(asked));
  TRY_ASSIGN(uint16_t port, ports.choose(first));
  return Address::tcp(config.endpoint_host, port);
}

Background sidecar(const Config& config, const Endpoint& endpoint) {
  std::string dir = config.endpoint_dir(endpoint.name);
  return {.name = "endpoint " + endpoint.name,
          .args = {"compute", "--dir", config.dir, "--endpoint", endpoint.name},
          .pid_file = pid_file(config, endpoint),
          .log_file = dir + "/compute.log",
          .http = endpoint.listen_http,
          .ready = "/status",
          .state = "running"};
}

// The sidecar is told whose WAL it may write; a safekeeper that was down when the timeline was made hears of
// it now.
Status prepare_storage(Task& task, Session& session, Endpoint& endpoint) {
  TRY_ASSIGN(nlohmann::json details, session.pageserver(task, "GET",
                                                        "/v1/tenant/" + to_string(endpoint.id.tenant) +
                                                            "/timeline/" + to_string(endpoint.id.timeline)));
  if (details.is_object() && details.value("is_archived", false))
    return Error(Code::Stale, "the timeline of endpoint " + endpoint.name +
                                  " is archived; bring it back by `argon timeline unarchive`");
  std::string system_id = details.is_object() ? details.value("system_id", "") : "";
  TRY_ASSIGN(endpoint.system_id,
             parse_u64(system_id).with("the pageserver's details of " + to_string(endpoint.id)));
  TRY(save_endpoint(session.config(), endpoint));
  if (endpoint.mode != compute::EndpointMode::Primary) return {};
  return create_on_safekeepers(task, session, endpoint.id, details);
}

std::string lsn_of(Task& task, Session& session, const Endpoint& endpoint) {
  if (endpoint.mode == compute::EndpointMode::Static) return to_string(endpoint.static_lsn);
  Result<nlohmann::json> info = session.pageserver(
      task, "GET",
      "/v1/tenant/" + to_string(endpoint.id.tenant) + "/timeline/" + to_string(endpoint.id.timeline), nullptr,
      2_s);
  if (!info.ok() || !info->is_object()) return "--";
  return info->value("last_record_lsn", "--");
}

}  // namespace

Status check_endpoint_name(const std::string& name) {
  bool fine = !name.empty() && name.size() <= 63 && name != "." && name != "..";
  for (char c : name)
    fine = fine && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.');
  if (fine) return {};
  return Error(Code::Invalid,
               "'" + name + "' is not an endpoint name: letters, digits, '_', '-' and '.', at most 63");
}

Status hold_back(const Config& config, const Endpoint& endpoint) {
  return write_text(stopped_file(config, endpoint), "");
}

bool is_held_back(const Config& config, const Endpoint& endpoint) {
  return std::filesystem::exists(stopped_file(config, endpoint));
}

std::string endpoint_status(const Config& config, const Endpoint& endpoint) {
  bool sidecar_runs = posix::pid_file_holder(pid_file(config, endpoint)) != 0;
  if (sidecar_runs) return "running";
  // An orderly stop empties the pid file; what is left in it died.
  std::error_code error;
  auto size = std::filesystem::file_size(pid_file(config, endpoint), error);
  if (!error && size > 0) return "crashed";
  return std::filesystem::exists(suspended_file(config, endpoint)) ? "suspended" : "stopped";
}

Status endpoint_create(Task& task, Env& env, const Globals& globals, const EndpointOptions& options) {
  TRY(check_endpoint_name(options.name));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  const Config& config = session.config();
  Endpoint endpoint;
  endpoint.name = options.name;
  endpoint.branch = options.branch_name;
  TRY_ASSIGN(endpoint.id.tenant, session.state().tenant(options.tenant_id));
  TRY_ASSIGN(endpoint.id.timeline, session.state().branch(endpoint.id.tenant, options.branch_name));
  TRY(read_mode(options, endpoint));
  TRY(add_settings(endpoint, options.settings));
  if (!options.suspend_after.empty()) {
    TRY_ASSIGN(endpoint.suspend_after, parse_duration(options.suspend_after));
  }
  std::string dir = config.endpoint_dir(endpoint.name);
  if (std::filesystem::exists(dir + "/endpoint.json"))
    return Error(Code::AlreadyExists, "there is an endpoint '" + endpoint.name + "' already");
  if (!options.allow_multiple) TRY(check_no_other_primary(config, endpoint));
  TRY_ASSIGN(endpoint.listen, choose_port(config, options.pg_port, config.endpoint_first_port));
  TRY_ASSIGN(endpoint.listen_http,
             choose_port(config, options.http_port, static_cast<uint16_t>(endpoint.listen.port + 1000)));
  TRY(make_folders(dir));
  TRY(give_folder(dir, config.server_user()));
  TRY(save_endpoint(config, endpoint));
  if (globals.json)
    globals.answer({{"endpoint", endpoint.name},
                    {"address", to_string(endpoint.listen)},
                    {"timeline_id", to_string(endpoint.id.timeline)},
                    {"branch_name", endpoint.branch},
                    {"mode", std::string(to_string(endpoint.mode))}});
  else
    session.say(fmt::format("endpoint {}: created, {} of branch {}, at {}", endpoint.name,
                            to_string(endpoint.mode), endpoint.branch, to_string(endpoint.listen)));
  return {};
}

Status start_endpoint(Task& task, Env& env, Session& session, Endpoint endpoint, bool allow_multiple,
                      Duration timeout) {
  const Config& config = session.config();
  Background daemon = sidecar(config, endpoint);
  if (posix::pid_file_holder(daemon.pid_file) == 0) {
    if (!allow_multiple) TRY(check_no_other_primary(config, endpoint));
    TRY(stop_orphan_server(task, data_directory(config, endpoint)));
    for (const Address& address : {endpoint.listen, endpoint.listen_http})
      TRY(wait_for_port(task, daemon.name, address, session.progress()));
    TRY(prepare_storage(task, session, endpoint));
  }
  std::error_code ignored;
  for (const std::string& mark : {stopped_file(config, endpoint), suspended_file(config, endpoint)})
    std::filesystem::remove(mark, ignored);
  TRY(start_background(task, env, daemon, timeout, session.progress()));
  return {};
}

Status endpoint_start(Task& task, Env& env, const Globals& globals, const EndpointOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(Endpoint endpoint, load_endpoint(session.config(), options.name));
  TRY(start_endpoint(task, env, session, endpoint, options.allow_multiple, timeout));
  std::string connection = fmt::format("postgresql://cloud_admin@{}/postgres", to_string(endpoint.listen));
  if (globals.json)
    globals.answer(
        {{"endpoint", endpoint.name}, {"address", to_string(endpoint.listen)}, {"connection", connection}});
  else
    session.say("connect with: psql " + connection);
  return {};
}

Status stop_endpoint(Task& task, Session& session, const Endpoint& endpoint, StopMode mode) {
  const Config& config = session.config();
  std::string name = "endpoint " + endpoint.name;
  Status stopped = stop_background(task, name, pid_file(config, endpoint), mode, 60_s, session.progress());
  Status orphan = stop_orphan_server(task, data_directory(config, endpoint));
  // From here on it is stopped, not crashed.
  std::error_code ignored;
  if (stopped.ok() && orphan.ok()) std::filesystem::remove(pid_file(config, endpoint), ignored);
  TRY(stopped);
  return orphan;
}

Status endpoint_stop(Task& task, Env& env, const Globals& globals, const EndpointOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  TRY_ASSIGN(Endpoint endpoint, load_endpoint(session.config(), options.name));
  StopMode mode = options.stop_mode == "fast" ? StopMode::Fast : StopMode::Immediate;
  bool ran = endpoint_status(session.config(), endpoint) == "running";
  TRY(stop_endpoint(task, session, endpoint, mode));
  if (!ran) session.say("endpoint " + endpoint.name + ": does not run");
  std::error_code ignored;
  std::filesystem::remove(suspended_file(session.config(), endpoint), ignored);
  TRY(hold_back(session.config(), endpoint));
  std::string lsn = lsn_of(task, session, endpoint);
  if (options.destroy) {
    std::error_code error;
    std::filesystem::remove_all(session.config().endpoint_dir(endpoint.name), error);
    if (error) return posix::os_error("remove endpoint " + endpoint.name, error.value());
  }
  if (globals.json)
    globals.answer({{"endpoint", endpoint.name}, {"lsn", lsn}, {"destroyed", options.destroy}});
  else if (options.destroy)
    session.say("endpoint " + endpoint.name + ": destroyed");
  return {};
}

Status endpoint_list(Task& task, Env& env, const Globals& globals, const EndpointOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  TRY_ASSIGN(std::vector<Endpoint> all, load_endpoints(session.config()));
  std::optional<TenantId> only;
  if (!options.tenant_id.empty()) {
    TRY_ASSIGN(only, session.state().tenant(options.tenant_id));
  }
  std::vector<std::vector<std::string>> rows{
      {"ENDPOINT", "ADDRESS", "TIMELINE", "BRANCH NAME", "LSN", "STATUS"}};
  nlohmann::json list = nlohmann::json::array();
  for (const Endpoint& endpoint : all) {
    if (only && endpoint.id.tenant != *only) continue;
    std::string status = endpoint_status(session.config(), endpoint);
    std::string lsn = lsn_of(task, session, endpoint);
    rows.push_back({endpoint.name, to_string(endpoint.listen), to_string(endpoint.id.timeline),
                    endpoint.branch, lsn, status});
    list.push_back({{"endpoint", endpoint.name},
                    {"address", to_string(endpoint.listen)},
                    {"tenant_id", to_string(endpoint.id.tenant)},
                    {"timeline_id", to_string(endpoint.id.timeline)},
                    {"branch_name", endpoint.branch},
                    {"mode", std::string(to_string(endpoint.mode))},
                    {"suspend_after_s", endpoint.suspend_after.to_seconds()},
                    {"lsn", lsn},
                    {"status", status}});
  }
  if (globals.json)
    globals.answer(list);
  else
    fmt::print("{}", table(rows));
  return {};
}

}  // namespace argon::cli
