// init, start, stop, status: the cluster as a whole.

#include <fmt/format.h>

#include <filesystem>
#include <sstream>

#include "core/fiber/scope.h"
#include "daemons/main/commands.h"
#include "daemons/main/files.h"
#include "daemons/main/object_store.h"
#include "daemons/main/ports.h"
#include "daemons/posix/daemon.h"

namespace argon::cli {
namespace {

using namespace literals;

constexpr const char* kHost = "127.0.0.1";

Status prepare_folder(const std::string& dir, const std::string& force) {
  namespace fs = std::filesystem;
  std::error_code error;
  bool there = fs::exists(dir, error);
  if (there && force == "must-not-exist" && (fs::exists(dir + "/argon.toml") || !fs::is_empty(dir, error)))
    return Error(Code::AlreadyExists,
                 dir +
                     " exists already and is not empty: `argon start` starts the cluster in "
                     "it; `argon init --force remove-all-contents` makes a new one");
  if (there && force == "empty-dir-ok" && !fs::is_empty(dir, error))
    return Error(Code::AlreadyExists, dir + " is not empty");
  if (there && force == "remove-all-contents") {
    for (const auto& entry : fs::recursive_directory_iterator(dir, error))
      if (entry.path().extension() == ".pid" && posix::pid_file_holder(entry.path()) != 0)
        return Error(Code::Unavailable, "the cluster in " + dir + " runs: `argon stop` first");
    for (const auto& entry : fs::directory_iterator(dir, error)) fs::remove_all(entry.path(), error);
    if (error) return posix::os_error("empty " + dir, error.value());
  }
  return make_folders(dir);
}

// The defaults are Neon's; with a first port, all lie in one row from there on.
Status choose_ports(Config& config, int safekeepers, int pageservers, int first) {
  PortChooser ports(kHost);
  auto next = [&ports](uint16_t wanted, Address& out) -> Status {
    TRY_ASSIGN(uint16_t port, ports.choose(wanted));
    out = Address::tcp(kHost, port);
    return {};
  };
  auto wanted = [first](int usual, int place) {
    return static_cast<uint16_t>(first == 0 ? usual : first + place);
  };
  TRY(next(wanted(50051, 0), config.broker_listen));
  TRY(next(wanted(50052, 1), config.broker_http));
  TRY(next(wanted(64000, 2), config.pageserver_pg));
  TRY(next(wanted(9898, 3), config.pageserver_http));
  for (int i = 0; i < safekeepers; i++) {
    SafekeeperNode node;
    node.id = static_cast<uint64_t>(i) + 1;
    TRY(next(wanted(5454 + i, 4 + i), node.listen_pg));
    TRY(next(wanted(7676 + i, 4 + safekeepers + i), node.listen_http));
    config.safekeepers.push_back(node);
  }
  TRY(next(wanted(4432, 4 + 2 * safekeepers), config.proxy_listen));
  TRY(next(wanted(7000, 5 + 2 * safekeepers), config.proxy_http));
  for (int i = 1; i < pageservers; i++) {
    PageserverNode node;
    node.id = config.pageserver_id + static_cast<uint64_t>(i);
    TRY(next(wanted(64000 + i, 4 + 2 * (safekeepers + i)), node.listen_pg));
    TRY(next(wanted(9898 + i, 5 + 2 * (safekeepers + i)), node.listen_http));
    config.more_pageservers.push_back(node);
  }
  config.endpoint_first_port = wanted(55432, 4 + 2 * (safekeepers + pageservers));
  return {};
}

Background node(const Config& config, std::string name, const std::string& dir, std::string program,
                const Address& http) {
  return {.name = std::move(name),
          .args = {program, "--dir", config.dir},
          .pid_file = dir + "/" + program + ".pid",
          .log_file = dir + "/" + program + ".log",
          .http = http,
          .ready = "/v1/status",
          .state = {}};
}

std::vector<Background> nodes(const Config& config) {
  std::vector<Background> all;
  all.push_back(node(config, "broker", config.broker_dir(), "broker", config.broker_http));
  for (const PageserverNode& one : config.pageservers()) {
    all.push_back(node(config, "pageserver " + std::to_string(one.id), config.pageserver_dir(one.id),
                       "pageserver", one.listen_http));
    if (one.id != config.pageserver_id)
      all.back().args.insert(all.back().args.end(), {"--id", std::to_string(one.id)});
  }
  for (const SafekeeperNode& sk : config.safekeepers) all.push_back(safekeeper_daemon(config, sk));
  if (config.proxy_listen.port != 0)
    all.push_back(node(config, "proxy", config.proxy_dir(), "proxy", config.proxy_http));
  return all;
}

std::vector<Address> addresses_of(const Config& config, const Background& one) {
  if (one.name == "broker") return {config.broker_listen, config.broker_http};
  if (one.name == "proxy") return {config.proxy_listen, config.proxy_http};
  for (const PageserverNode& node : config.pageservers())
    if (one.http == node.listen_http) return {node.listen_pg, node.listen_http};
  for (const SafekeeperNode& sk : config.safekeepers)
    if (one.http == sk.listen_http) return {sk.listen_pg, sk.listen_http};
  return {};
}

// What a daemon that is gone said last: the last line of its log that tells of an error, or nothing.
std::string last_error(const std::string& log_file) {
  constexpr size_t kTail = 256 * 1024;
  std::string found;
  std::istringstream log(tail_of(log_file, kTail));
  for (std::string line; std::getline(log, line);)
    if (line.find("Z error ") != std::string::npos) found = line;
  return found;
}

// An orderly stop empties the pid file; what is left in it died.
bool has_died(const Background& one) {
  std::error_code error;
  auto size = std::filesystem::file_size(one.pid_file, error);
  return !error && size > 0 && posix::pid_file_holder(one.pid_file) == 0;
}

// Before it is started: whether somebody else has its ports.
Status check_free(Task& task, const Session& session, const Background& one) {
  if (posix::pid_file_holder(one.pid_file) != 0) return {};
  for (const Address& address : addresses_of(session.config(), one))
    TRY(wait_for_port(task, one.name, address, session.progress()));
  return {};
}

}  // namespace

Background safekeeper_daemon(const Config& config, const SafekeeperNode& sk) {
  Background daemon = node(config, "safekeeper " + std::to_string(sk.id), config.safekeeper_dir(sk.id),
                           "safekeeper", sk.listen_http);
  daemon.args.insert(daemon.args.end(), {"--id", std::to_string(sk.id)});
  return daemon;
}

Result<Duration> parse_duration(const std::string& text) {
  size_t digits = text.find_first_not_of("0123456789");
  std::string unit = digits == std::string::npos ? "s" : text.substr(digits);
  Result<uint64_t> number = parse_u64(text.substr(0, digits));
  int64_t scale = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" || unit == "min" ? 60'000 : 0;
  if (!number.ok() || scale == 0 || *number > 1'000'000)
    return Error(Code::Invalid, "'" + text + "' is not a time: expected such as 500ms, 10s or 2m");
  return Duration::milliseconds(static_cast<int64_t>(*number) * scale);
}

namespace {

Status choose_object_store(const InitOptions& options, Config& config) {
  TRY(parse_object_store(options.object_store, config));
  bool s3_options = !options.s3_endpoint.empty() || !options.s3_region.empty() ||
                    !options.s3_ca_file.empty() || options.no_conditional_put;
  if (!config.s3 && s3_options)
    return Error(Code::Invalid, "--s3-endpoint and its like need --object-store s3://BUCKET[/PREFIX]");
  if (!config.s3) return {};
  if (options.s3_endpoint.empty())
    return Error(Code::Invalid,
                 "--object-store " + options.object_store + " needs --s3-endpoint https://HOST[:PORT]");
  config.s3->endpoint = options.s3_endpoint;
  if (!options.s3_region.empty()) config.s3->region = options.s3_region;
  if (!options.s3_ca_file.empty()) config.s3->ca_file = std::filesystem::absolute(options.s3_ca_file);
  config.s3->conditional_put = !options.no_conditional_put;
  return {};
}

}  // namespace

Status init(Task& task, Env& env, const Globals& globals, const InitOptions& options) {
  Config config;
  config.dir = state_dir(globals.dir);
  TRY(choose_object_store(options, config));
  TRY(check_object_store(task, env, config));
  if (!options.pg_distrib_dir.empty())
    config.postgres_bin =
        std::filesystem::absolute(options.pg_distrib_dir).lexically_normal().string() + "/bin";
  TRY(check_server_version(task, env, config));
  bool was_there = std::filesystem::exists(config.dir);
  TRY(prepare_folder(config.dir, options.force));
  Status can_enter = check_can_enter(config.dir, config.server_user());
  if (!can_enter.ok()) {
    std::error_code ignored;
    if (!was_there) std::filesystem::remove(config.dir, ignored);
    return can_enter;
  }
  TRY(choose_ports(config, options.safekeepers, options.pageservers, options.first_port));
  for (const std::string& dir : {config.broker_dir(), config.pageserver_dir(), config.proxy_dir(),
                                 config.path("endpoints"), config.path("initdb")})
    TRY(make_folders(dir));
  if (!config.s3) TRY(make_folders(config.object_store_dir()));
  for (const SafekeeperNode& sk : config.safekeepers) TRY(make_folders(config.safekeeper_dir(sk.id)));
  for (const PageserverNode& ps : config.more_pageservers) TRY(make_folders(config.pageserver_dir(ps.id)));
  TRY(save_state(config, State{}));
  TRY(write_text(config.config_file(), config_text(config)));
  if (globals.json) {
    globals.answer({{"dir", config.dir}, {"config", config.config_file()}});
    return {};
  }
  std::string pageservers =
      options.pageservers == 1 ? "pageserver" : std::to_string(options.pageservers) + " pageservers";
  fmt::print("initialized a cluster in {}: broker, {}, {} safekeepers\nconfiguration: {}\n", config.dir,
             pageservers, config.safekeepers.size(), config.config_file());
  return {};
}

Status start(Task& task, Env& env, const Globals& globals, const StartOptions& options) {
  TRY_ASSIGN(Duration timeout, parse_duration(options.timeout));
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  std::vector<Background> all = nodes(session.config());
  for (const Background& one : all) TRY(check_free(task, session, one));
  Scope scope(task);
  std::vector<Status> results(all.size());
  for (size_t i = 0; i < all.size(); i++)
    scope.spawn(all[i].name, [&, i](Task& t) -> Status {
      // One that fails does not keep the others from coming up.
      Result<Started> started = start_background(t, env, all[i], timeout, session.progress());
      if (!started.ok()) results[i] = started.error();
      return {};
    });
  TRY(scope.join(task));
  for (const Status& one : results) TRY(one);
  if (globals.json) globals.answer({{"started", true}});
  return {};
}

Status stop(Task& task, Env& env, const Globals& globals, const StopOptions& options) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, true));
  StopMode mode = options.mode == "immediate" ? StopMode::Immediate : StopMode::Fast;
  TRY_ASSIGN(std::vector<Endpoint> endpoints, load_endpoints(session.config()));
  Status result;
  auto stop_node = [&](const Background& one) {
    Status stopped = stop_background(task, one.name, one.pid_file, mode, 60_s, session.progress());
    if (!stopped.ok()) result = stopped;
    // From here on it is stopped, not crashed.
    std::error_code ignored;
    if (stopped.ok()) std::filesystem::remove(one.pid_file, ignored);
  };
  // The proxy first: it would start endpoints again. Pageserver before safekeepers before broker: each may
  // still need the ones after it.
  std::vector<Background> all = nodes(session.config());
  std::rotate(all.begin(), all.begin() + 1, all.end());
  auto is_proxy = [](const Background& one) { return one.name == "proxy"; };
  std::for_each(all.begin(), all.end(), [&](const Background& one) {
    if (is_proxy(one)) stop_node(one);
  });
  std::erase_if(all, is_proxy);
  Scope scope(task);
  for (const Endpoint& endpoint : endpoints)
    scope.spawn(endpoint.name, [&](Task& t) { return stop_endpoint(t, session, endpoint, mode); });
  Status endpoints_stopped = scope.join(task);
  if (!endpoints_stopped.ok()) {
    session.say("argon: " + endpoints_stopped.error().message());
    result = endpoints_stopped;
  }
  for (const Background& one : all) stop_node(one);
  if (globals.json) globals.answer({{"stopped", result.ok()}});
  return result;
}

Status status(Task& task, Env& env, const Globals& globals) {
  TRY_ASSIGN(Session session, Session::open(task, env, globals, false));
  std::vector<std::vector<std::string>> rows{{"NODE", "ADDRESS", "PROCESS", "STATUS"}};
  nlohmann::json list = nlohmann::json::array();
  bool all_run = true;
  std::string deaths;
  auto add = [&](const std::string& name, const std::string& address, int pid, const std::string& state) {
    rows.push_back({name, address, pid > 0 ? std::to_string(pid) : "-", state});
    list.push_back({{"node", name}, {"address", address}, {"status", state}});
    if (pid > 0) list.back()["pid"] = pid;
  };
  for (const Background& one : nodes(session.config())) {
    int pid = posix::pid_file_holder(one.pid_file);
    all_run = all_run && pid > 0;
    bool died = has_died(one);
    add(one.name, to_string(one.http), pid, pid > 0 ? "running" : died ? "crashed" : "stopped");
    if (!died) continue;
    std::string why = last_error(one.log_file);
    list.back()["last_error"] = why;
    deaths += fmt::format("{} ended by itself; its log's last error (of {}): {}\n", one.name, one.log_file,
                          why.empty() ? "none, so it was killed" : why);
  }
  TRY_ASSIGN(std::vector<Endpoint> endpoints, load_endpoints(session.config()));
  for (const Endpoint& endpoint : endpoints)
    add("endpoint " + endpoint.name, to_string(endpoint.listen),
        posix::pid_file_holder(session.config().endpoint_dir(endpoint.name) + "/compute.pid"),
        endpoint_status(session.config(), endpoint));
  if (globals.json)
    globals.answer({{"dir", session.config().dir}, {"running", all_run}, {"nodes", list}});
  else
    fmt::print("{}{}", table(rows), deaths);
  if (!all_run)
    return Error(Code::Unavailable, "not every part of the cluster runs: `argon start` starts the rest");
  return {};
}

}  // namespace argon::cli
