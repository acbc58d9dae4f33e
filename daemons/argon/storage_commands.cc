// init, start, stop, status: the storage of a state folder as a whole.

#include <cstdio>
#include <filesystem>

#include "daemons/argon/commands.h"
#include "daemons/argon/endpoint.h"
#include "daemons/argon/files.h"

namespace argon::cli {
namespace {

constexpr const char* kDebianBinDir = "/usr/lib/postgresql/15/bin";
constexpr Duration kStopTimeout = Duration::seconds(90);

Status prepare_folder(const std::string& dir, const std::string& force) {
  if (force != "must-not-exist" && force != "empty-dir-ok" && force != "remove-all-contents")
    return Error(
        Code::Invalid,
        "--force: expected must-not-exist, empty-dir-ok or remove-all-contents, not '" + force + "'");
  if (exists(dir + "/argon.toml") && force != "remove-all-contents")
    return Error(Code::AlreadyExists, dir + " holds a cluster already: `argon start` starts it");
  std::error_code failed;
  bool empty = !exists(dir) || std::filesystem::is_empty(dir, failed);
  if (failed) return Error(Code::Io, "look into " + dir + ": " + failed.message());
  if (!empty && force != "remove-all-contents")
    return Error(Code::AlreadyExists,
                 dir + " is not empty: choose another folder by --dir, or give --force remove-all-contents");
  if (!empty)
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
      std::filesystem::remove_all(entry.path(), failed);
      if (failed) return Error(Code::Io, "remove " + entry.path().string() + ": " + failed.message());
    }
  return make_folder(dir);
}

Status check_postgres(const Settings& settings, const std::string& dir) {
  for (const char* program : {"postgres", "initdb"})
    if (!exists(settings.postgres.bin_dir + "/" + program))
      return Error(Code::NotFound,
                   "there is no " + settings.postgres.bin_dir + "/" + program +
                       ": install postgresql-15, or name another installation by --pg-distrib-dir");
  if (!is_root()) return {};
  TRY_ASSIGN(bool enters, user_can_enter(settings.postgres.user, dir));
  if (!enters)
    return Error(Code::Invalid,
                 "PostgreSQL does not run as root, and the user " + settings.postgres.user +
                     " cannot enter " + dir +
                     ": choose a folder whose parents let that user through (for example --dir "
                     "/var/lib/argon), or run argon as an ordinary user");
  return {};
}

Status choose_ports(Settings& settings, unsigned safekeepers) {
  std::set<uint16_t> taken;
  auto choose = [&](uint16_t wanted, Address& out) -> Status {
    TRY_ASSIGN(uint16_t port, free_port(wanted, taken));
    out = Address::tcp("127.0.0.1", port);
    return {};
  };
  TRY(choose(50051, settings.broker.listen));
  TRY(choose(50052, settings.broker.listen_http));
  TRY(choose(64000, settings.pageserver.listen_pg));
  TRY(choose(9898, settings.pageserver.listen_http));
  for (unsigned i = 0; i < safekeepers; i++) {
    SafekeeperSettings safekeeper;
    safekeeper.id = i + 1;
    TRY(choose(static_cast<uint16_t>(5454 + i), safekeeper.listen_pg));
    TRY(choose(static_cast<uint16_t>(7676 + i), safekeeper.listen_http));
    settings.safekeepers.push_back(safekeeper);
  }
  return {};
}

const char* to_text(DaemonState state) {
  switch (state) {
    case DaemonState::Running:
      return "running";
    case DaemonState::Crashed:
      return "crashed";
    case DaemonState::Stopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace

Status init(Context& context, const InitOptions& options) {
  if (options.safekeepers < 1 || options.safekeepers > 9)
    return Error(Code::Invalid, "--num-safekeepers: expected 1 to 9");
  TRY(prepare_folder(context.dir, options.force));
  Settings settings;
  settings.object_store = "object_store";
  settings.postgres.bin_dir =
      options.pg_distrib_dir.empty() ? kDebianBinDir : options.pg_distrib_dir + "/bin";
  settings.postgres.user = is_root() ? "postgres" : "";
  TRY(check_postgres(settings, context.dir));
  TRY(choose_ports(settings, options.safekeepers));
  TRY(make_folder(context.path("endpoints")));
  TRY(write_text(context.path("argon.toml"), settings_text(settings)));
  if (context.json)
    std::printf("%s\n",
                nlohmann::json{{"dir", context.dir}, {"config", context.path("argon.toml")}}.dump().c_str());
  else
    std::printf("initialised %s; its configuration is %s\nnext: argon start\n", context.dir.c_str(),
                context.path("argon.toml").c_str());
  return {};
}

Status start(Context& context, Duration timeout) {
  TRY(context.load());
  for (const Daemon& daemon : storage_daemons(context)) {
    TRY(make_folder(context.path(daemon.name)));
    TRY(start_daemon(context.task, context.env, daemon, timeout));
  }
  if (context.json) std::printf("%s\n", nlohmann::json{{"started", true}}.dump().c_str());
  return {};
}

Status stop(Context& context, bool immediate) {
  TRY(context.load());
  Status first;
  auto note = [&first](Status status) {
    if (!status.ok() && first.ok()) first = std::move(status);
  };
  TRY_ASSIGN(std::vector<Endpoint> endpoints, list_endpoints(context));
  for (const Endpoint& endpoint : endpoints)
    note(stop_daemon(context.task, "endpoint " + endpoint.name, endpoint.pid_file(context), immediate,
                     kStopTimeout));
  std::vector<Daemon> daemons = storage_daemons(context);
  // The broker goes last: the others tell it their last positions.
  for (auto daemon = daemons.rbegin(); daemon != daemons.rend(); ++daemon)
    note(stop_daemon(context.task, daemon->name, daemon->pid_file, immediate, kStopTimeout));
  TRY(first);
  if (context.json) std::printf("%s\n", nlohmann::json{{"stopped", true}}.dump().c_str());
  return {};
}

Status status(Context& context) {
  TRY(context.load());
  std::vector<std::vector<std::string>> rows = {{"DAEMON", "STATUS", "PORTS", "LOG"}};
  nlohmann::json list = nlohmann::json::array();
  auto add = [&](const std::string& name, const std::string& pid_file, const std::string& ports,
                 const std::string& log) {
    const char* state = to_text(daemon_state(pid_file));
    rows.push_back({name, state, ports, log});
    list.push_back({{"name", name}, {"status", state}, {"ports", ports}, {"log", log}});
  };
  for (const Daemon& daemon : storage_daemons(context))
    add(daemon.name, daemon.pid_file, argon::to_string(daemon.status), daemon.log_file);
  TRY_ASSIGN(std::vector<Endpoint> endpoints, list_endpoints(context));
  for (const Endpoint& endpoint : endpoints)
    add("endpoint " + endpoint.name, endpoint.pid_file(context),
        "127.0.0.1:" + std::to_string(endpoint.pg_port), endpoint.folder(context) + "/postgres.log");
  std::printf("%s", context.json ? (list.dump() + "\n").c_str() : table(rows).c_str());
  return {};
}

}  // namespace argon::cli
