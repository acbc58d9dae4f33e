#include "core/compute/data_directory.h"

#include "core/compute/basebackup_fetch.h"
#include "core/env/io.h"
#include "core/pg/control_file.h"
#include "core/pg/tar.h"

namespace argon::compute {
namespace {

constexpr std::string_view kExtensionFolder = "argon_lib";
constexpr std::string_view kFileCacheFolder = "file_cache";

// Single quotes and backslashes, as postgresql.conf wants them.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + "'";
}

std::string data_path(const ComputeConfig& config) {
  return join_path(config.directory, "pgdata");
}

// An empty data directory, and the file cache's as it is.
Status make_directories(Task& task, Env& env, const ComputeConfig& config, const std::string& path) {
  TRY(remove_data_directory(task, env, config));
  SpawnOptions options;
  options.argv = {"/usr/bin/install", "-d", "-m", "700"};
  if (!config.postgres_user.empty()) {
    options.argv.push_back("-o");
    options.argv.push_back(config.postgres_user);
  }
  options.argv.push_back(path);
  options.argv.push_back(join_path(config.directory, kFileCacheFolder));
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  TRY_ASSIGN(std::unique_ptr<Process> process, env.processes()->spawn(task, options));
  TRY_ASSIGN(ExitStatus status, process->wait(task));
  if (!status.clean()) return Error(Code::Io, "make directories in " + config.directory + ": install failed");
  return {};
}

// Appends an archive of the endpoint's own files.
Status write_own_files(Task& task, const ComputeConfig& config, const std::string& data_directory,
                       const std::string& further_settings, ByteView extension, Stream& out) {
  pg::TarWriter writer([&](ByteView bytes) { return write_all(task, out, bytes); }, 0);
  TRY(writer.directory(std::string(kExtensionFolder)));
  TRY(writer.file(join_path(kExtensionFolder, "argon.so"), extension));
  TRY(writer.file("postgresql.conf", as_bytes(postgresql_conf(config, data_directory) + further_settings)));
  TRY(writer.file("pg_hba.conf", as_bytes(pg_hba_conf())));
  if (config.mode != EndpointMode::Primary) TRY(writer.file("standby.signal", {}));
  return writer.finish();
}

// Runs tar in `path`, fed by `feed`; the later of two files of one name wins.
Status unpack(Task& task, Env& env, const ComputeConfig& config, const std::string& path,
              const std::function<Status(Task&, Stream&)>& feed) {
  SpawnOptions options;
  options.argv = {"/usr/bin/tar", "--extract", "--ignore-zeros", "--blocking-factor=512",
                  "--file",       "-",         "--directory",    path};
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  options.user = config.postgres_user;
  options.in = ChildStream::pipe();
  options.err = ChildStream::pipe();
  TRY_ASSIGN(std::unique_ptr<Process> tar, env.processes()->spawn(task, options));
  Status fed = feed(task, *tar->in());
  tar->in()->close();
  Result<std::string> said = read_to_end(task, *tar->err(), 4096);
  std::string complaint = said.ok() ? *said : "";
  TRY_ASSIGN(ExitStatus status, tar->wait(task));
  TRY(std::move(fed).with(complaint.empty() ? "unpack" : "unpack (tar: " + complaint + ")"));
  if (!status.clean()) return Error(Code::Io, "unpack into " + path + ": tar: " + complaint);
  return {};
}

// The number that the endpoint's own settings give this one last; 0 where they do not.
uint64_t own_number(std::string_view name, const std::vector<std::string>& settings) {
  uint64_t last = 0;
  for (std::string_view line : settings) {
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    line = line.substr(std::min(line.size(), line.find_first_not_of(" =\t'")));
    line = line.substr(0, line.find_first_not_of("0123456789"));
    if (Result<uint64_t> number = parse_u64(line); number.ok()) last = *number;
  }
  return last;
}

// Where a replica's WAL comes from: libpq goes on to the next where one does not answer.
std::string safekeepers_connection(const ComputeConfig& config) {
  std::string hosts;
  std::string ports;
  const consensus::Configuration& all = config.safekeepers;
  for (const consensus::Member& member : all.joint() ? all.new_members : all.members) {
    hosts += (hosts.empty() ? "" : ",") + member.host;
    ports += (ports.empty() ? "" : ",") + std::to_string(member.port);
  }
  return "host=" + hosts + " port=" + ports +
         " user=replica connect_timeout=3 application_name=" + config.endpoint +
         " options='-c tenant_id=" + to_string(config.id.tenant) +
         " -c timeline_id=" + to_string(config.id.timeline) + "'";
}

// As libpq reads it: hosts are tried in order. A folder whose name cannot stand in such a list, or is too
// long for a socket, is left out.
std::string pageserver_connection(const ComputeConfig& config) {
  constexpr size_t kLongest = 90;
  const std::string& folder = config.pageserver_socket_dir;
  std::string port = std::to_string(config.pageserver.port);
  if (folder.empty() || folder.size() > kLongest || folder.find_first_of(",'\\ ") != std::string::npos)
    return "host=" + config.pageserver.host + " port=" + port;
  return "host=" + folder + "," + config.pageserver.host + " port=" + port + "," + port;
}

}  // namespace

std::string socket_path(const ComputeConfig& config) {
  return join_path(config.directory, "argon.socket");
}

std::string postgresql_conf(const ComputeConfig& config, const std::string& data_directory) {
  std::string text = "# Written by argon at every start of this endpoint; changes here are lost.\n";
  auto set = [&text](std::string_view name, std::string_view value) {
    text += std::string(name) + " = " + quoted(value) + "\n";
  };
  set("listen_addresses", config.listen.host);
  set("port", std::to_string(config.listen.port));
  set("unix_socket_directories", "");
  set("dynamic_library_path", "$libdir:" + join_path(data_directory, kExtensionFolder));
  set("shared_preload_libraries", "argon");
  set("argon.tenant_id", to_string(config.id.tenant));
  set("argon.timeline_id", to_string(config.id.timeline));
  set("argon.pageserver_connstring", pageserver_connection(config));
  set("argon.sidecar_socket", socket_path(config));
  set("argon.file_cache_path", join_path(config.directory, join_path(kFileCacheFolder, "pages")));
  set("argon.mode", to_string(config.mode));
  if (config.mode == EndpointMode::Static) set("argon.static_lsn", to_string(config.static_lsn));
  text +=
      "wal_level = replica\n"
      "fsync = off\n"
      "full_page_writes = off\n"
      "restart_after_crash = off\n"
      "synchronous_commit = on\n"
      "max_slot_wal_keep_size = -1\n"
      "max_wal_senders = 10\n"
      "max_connections = 100\n"
      "shared_buffers = 128MB\n"
      "effective_io_concurrency = 32\n"
      "maintenance_io_concurrency = 64\n"
      "log_line_prefix = '%m [%p] '\n"
      "timezone = 'UTC'\n"
      "log_timezone = 'UTC'\n";
  if (config.mode == EndpointMode::Primary) set("synchronous_standby_names", "argon");
  if (config.mode == EndpointMode::Replica) {
    set("primary_conninfo", safekeepers_connection(config));
    text +=
        "wal_receiver_timeout = 5s\nwal_receiver_status_interval = 1s\nwal_retrieve_retry_interval = 200ms\n";
  }
  for (const std::string& line : config.settings) text += line + "\n";
  return text;
}

std::string standby_settings(const pg::ControlSettings& primary, const std::vector<std::string>& settings) {
  std::string text = "# A hot standby must not fall below the primary in these (pg_control at this LSN).\n";
  auto at_least = [&](std::string_view name, uint64_t least) {
    if (own_number(name, settings) < least) text += std::string(name) + " = " + std::to_string(least) + "\n";
  };
  at_least("max_connections", primary.max_connections);
  at_least("max_worker_processes", primary.max_worker_processes);
  at_least("max_wal_senders", primary.max_wal_senders);
  at_least("max_prepared_transactions", primary.max_prepared_xacts);
  at_least("max_locks_per_transaction", primary.max_locks_per_xact);
  return text;
}

std::string pg_hba_conf() {
  return "# Written by argon. Trust on loopback only.\n"
         "host all all 127.0.0.1/32 trust\n"
         "host all all ::1/128 trust\n"
         "host replication all 127.0.0.1/32 trust\n"
         "host replication all ::1/128 trust\n";
}

Status rewrite_postgresql_conf(Task& task, Env& env, const ComputeConfig& config,
                               const DataDirectory& directory) {
  const std::string fresh = "postgresql.conf.new";
  std::string text = postgresql_conf(config, directory.path);
  if (config.mode != EndpointMode::Primary) text += standby_settings(directory.primary, config.settings);
  TRY(unpack(task, env, config, directory.path, [&](Task& t, Stream& out) {
    pg::TarWriter writer([&](ByteView bytes) { return write_all(t, out, bytes); }, 0);
    Status written = writer.file(fresh, as_bytes(text));
    return written.ok() ? writer.finish() : written;
  }));
  return env.disk().rename(task, join_path(directory.path, fresh),
                           join_path(directory.path, "postgresql.conf"));
}

Status remove_data_directory(Task& task, Env& env, const ComputeConfig& config) {
  return remove_tree(task, env.disk(), data_path(config)).with("remove the old data directory");
}

Result<DataDirectory> make_data_directory(Task& task, Env& env, const ComputeConfig& config, Lsn at) {
  if (env.processes() == nullptr)
    return Error(Code::Unsupported, "this world has no processes to unpack with");
  std::string path = data_path(config);
  TRY(make_directories(task, env, config, path));
  TRY_ASSIGN(Bytes extension, read_file(task, env.disk(), config.extension).with("read the extension"));

  BasebackupRequest request{.pageserver = config.pageserver,
                            .id = config.id,
                            .at = at.valid() ? std::optional(at) : std::nullopt,
                            .replica = config.mode == EndpointMode::Replica};
  // A standby's own files depend on what the base backup says.
  bool primary = config.mode == EndpointMode::Primary;
  TRY(unpack(task, env, config, path,
             [&](Task& t, Stream& in) -> Status {
               TRY(fetch_basebackup(t, request,
                                    [&](Task& u, ByteView bytes) { return write_all(u, in, bytes); }));
               return primary ? write_own_files(t, config, path, "", extension, in) : Status();
             })
          .with("base backup of " + to_string(config.id) + " at " +
                (at.valid() ? to_string(at) : "its last checkpoint")));
  TRY_ASSIGN(Bytes file,
             read_file(task, env.disk(), join_path(path, "global/pg_control"), pg::kControlFileSize));
  TRY_ASSIGN(pg::ControlFile control, pg::decode_control_file(file));
  if (config.system_id != 0 && control.system_id != config.system_id)
    return Error(Code::Invalid, "the base backup of " + to_string(config.id) + " is of system " +
                                    std::to_string(control.system_id) + ", but the timeline is of " +
                                    std::to_string(config.system_id));
  if (!primary) {
    std::string further = standby_settings(control.settings, config.settings);
    TRY(unpack(task, env, config, path, [&](Task& t, Stream& in) {
      return write_own_files(t, config, path, further, extension, in);
    }));
  }
  return DataDirectory{path, control.system_id, control.settings};
}

}  // namespace argon::compute
