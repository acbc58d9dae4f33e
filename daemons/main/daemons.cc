#include "daemons/main/daemons.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/broker/broker.h"
#include "core/compute/sidecar.h"
#include "core/pageserver/pageserver.h"
#include "core/safekeeper/safekeeper.h"
#include "daemons/main/commands.h"
#include "daemons/main/files.h"
#include "daemons/main/object_store.h"
#include "daemons/posix/daemon.h"

namespace argon::cli {
int refuse(const Globals& globals, const Error& error) {
  print_end(globals, error);
  return 1;
}

posix::DaemonOptions options_for(const Globals& globals, const Config& config, std::string node,
                                 const std::string& pid_file) {
  posix::DaemonOptions options;
  options.node = std::move(node);
  options.pid_file = pid_file;
  options.log_file = globals.log_file;
  options.log_level = config.log_level;
  for (const SafekeeperNode& keeper : config.safekeepers)
    if (std::string path = config.safekeeper_socket(keeper.id); !path.empty())
      options.env.local_sockets[keeper.listen_pg] = path;
  std::string dir = config.dir;
  options.reload_log_level = [dir]() -> Result<LogLevel> {
    TRY_ASSIGN(Config fresh, load_config(dir));
    return fresh.log_level;
  };
  return options;
}

Status make_node_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return posix::os_error("make folder " + path, error.value());
  return {};
}

namespace {

Result<compute::ComputeConfig> compute_config(const Config& config, const std::string& name) {
  TRY_ASSIGN(Endpoint endpoint, load_endpoint(config, name));
  compute::ComputeConfig compute;
  compute.endpoint = endpoint.name;
  compute.id = endpoint.id;
  compute.mode = endpoint.mode;
  compute.system_id = endpoint.system_id;
  compute.static_lsn = endpoint.static_lsn;
  compute.directory = config.endpoint_dir(name);
  compute.postgres_bin = config.postgres_bin;
  compute.postgres_user = config.server_user();
  TRY_ASSIGN(compute.extension, find_library("argon.so"));
  compute.listen = endpoint.listen;
  compute.http_listen = endpoint.listen_http;
  TRY_ASSIGN(State state, load_state(config));
  TRY_ASSIGN(PageserverNode pageserver, config.pageserver(state.pageserver_of(endpoint.id.tenant)));
  compute.pageserver = pageserver.listen_pg;
  compute.pageserver_socket_dir = config.pageserver_socket_dir(pageserver.id);
  compute.suspend_after = endpoint.suspend_after;
  compute.settings = config.endpoint_settings;
  compute.settings.insert(compute.settings.end(), endpoint.settings.begin(), endpoint.settings.end());
  return compute;
}

}  // namespace

Result<std::string> find_library(const std::string& name) {
  std::error_code error;
  std::filesystem::path bin = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* place : {"../lib/argon", "../lib"}) {
    std::filesystem::path candidate = (bin / place / name).lexically_normal();
    if (std::filesystem::exists(candidate, error)) return candidate.string();
  }
  return Error(Code::NotFound, name + ", loaded by PostgreSQL, is not where it belongs (../lib/argon/" +
                                   name + " seen from " + bin.string() +
                                   "): build everything, or install Argon anew");
}

int broker_main(const Globals& globals) {
  Result<Config> config = load_config(state_dir(globals.dir));
  if (!config.ok()) return refuse(globals, config.error());
  Status made = make_node_folder(config->broker_dir());
  if (!made.ok()) return refuse(globals, made.error());
  broker::BrokerConfig broker;
  broker.listen = config->broker_listen;
  broker.listen_http = config->broker_http;
  return posix::run_daemon(options_for(globals, *config, "broker", config->broker_dir() + "/broker.pid"),
                           [&](Task& task, Env& env) { return broker::run_broker(task, env, broker); });
}

int safekeeper_main(const Globals& globals, uint64_t id) {
  Result<Config> config = load_config(state_dir(globals.dir));
  if (!config.ok()) return refuse(globals, config.error());
  const SafekeeperNode* node = nullptr;
  for (const SafekeeperNode& one : config->safekeepers)
    if (one.id == id) node = &one;
  if (node == nullptr)
    return refuse(globals, Error(Code::NotFound, "there is no safekeeper " + std::to_string(id) + " in " +
                                                     config->config_file()));
  std::string dir = config->safekeeper_dir(id);
  Status made = make_node_folder(dir);
  if (!made.ok()) return refuse(globals, made.error());
  safekeeper::SafekeeperConfig keeper;
  keeper.id = NodeId(id);
  keeper.data_dir = dir + "/data";
  keeper.listen_wal = node->listen_pg;
  if (std::string path = config->safekeeper_socket(id); !path.empty())
    keeper.listen_local = Address::unix_socket(path);
  keeper.listen_http = node->listen_http;
  keeper.broker = config->broker_listen;
  keeper.evict_after = Duration::seconds(static_cast<int64_t>(node->evict_after));
  // It must be asleep before.
  if (node->evict_after > 0) keeper.sleep_after = std::min(keeper.sleep_after, keeper.evict_after);
  keeper.allow_creation = false;  // timelines are made by `argon`
  return posix::run_daemon(
      options_for(globals, *config, "safekeeper-" + std::to_string(id), dir + "/safekeeper.pid"),
      [&](Task& task, Env& env) -> Status {
        TRY_ASSIGN(auto store, open_object_store(task, env, *config, "sk" + std::to_string(id)));
        return safekeeper::run_safekeeper(task, env, keeper, store.get());
      });
}

int pageserver_main(const Globals& globals, uint64_t id) {
  Result<Config> config = load_config(state_dir(globals.dir));
  if (!config.ok()) return refuse(globals, config.error());
  Result<PageserverNode> node = config->pageserver(id);
  if (!node.ok()) return refuse(globals, node.error());
  std::string dir = config->pageserver_dir(node->id);
  std::string sockets = config->pageserver_socket_dir(node->id);
  Status made = make_node_folder(sockets);
  if (made.ok()) made = give_folder(sockets, config->server_user());
  if (!made.ok()) return refuse(globals, made.error());
  pageserver::PageserverConfig server;
  server.id = NodeId(node->id);
  server.data_dir = dir + "/data";
  server.listen_pg = node->listen_pg;
  server.listen_local = Address::unix_socket(sockets + "/.s.PGSQL." + std::to_string(node->listen_pg.port));
  server.listen_http = node->listen_http;
  server.broker = config->broker_listen;
  server.eviction.layer_bytes_max = config->pageserver_layer_bytes_max;
  server.eviction.in_use = Duration::seconds(config->pageserver_layer_in_use);
  server.eviction.disk_free_min = config->pageserver_disk_free_min;
  server.receiver.interpreted_wal = config->pageserver_interpreted_wal;
  server.receiver.compressed_wal = config->pageserver_compressed_wal;
  server.timeline.store.compress = config->pageserver_compressed_layers;
  server.redo_process.server = config->postgres_bin + "/postgres";
  if (auto library = find_library("argon_walredo.so"); library.ok()) server.redo_process.library = *library;
  return posix::run_daemon(
      options_for(globals, *config, "pageserver-" + std::to_string(node->id), dir + "/pageserver.pid"),
      [&](Task& task, Env& env) -> Status {
        std::string owner = "pageserver-" + std::to_string(node->id);
        TRY_ASSIGN(auto store, open_object_store(task, env, *config, owner));
        return pageserver::run_pageserver(task, env, server, *store);
      });
}

int compute_main(const Globals& globals, const std::string& endpoint) {
  Result<Config> config = load_config(state_dir(globals.dir));
  if (!config.ok()) return refuse(globals, config.error());
  Result<compute::ComputeConfig> compute = compute_config(*config, endpoint);
  if (!compute.ok()) return refuse(globals, compute.error());
  return posix::run_daemon(
      options_for(globals, *config, "endpoint-" + endpoint, config->endpoint_dir(endpoint) + "/compute.pid"),
      [&](Task& task, Env& env) -> Status {
        TRY_ASSIGN(compute->safekeepers, members_of(task, env, *config, compute->id));
        auto read = [&env, dir = config->dir, endpoint](Task& t) -> Result<compute::ComputeConfig> {
          TRY_ASSIGN(Config fresh, load_config(dir));
          TRY_ASSIGN(compute::ComputeConfig again, compute_config(fresh, endpoint));
          Result<consensus::Configuration> members = members_of(t, env, fresh, again.id);
          // A primary hears of them from themselves, nearly always.
          if (!members.ok() && again.mode == compute::EndpointMode::Replica) return members.error();
          if (members.ok()) again.safekeepers = *members;
          return again;
        };
        return compute::run_compute(task, env, *compute, read);
      });
}

}  // namespace argon::cli
