#include "core/compute/data_directory.h"

#include "core/compute/basebackup_fetch.h"
#include "core/env/io.h"
#include "core/pg/tar.h"

namespace argon::compute {
namespace {

constexpr std::string_view kExtensionFolder = "argon_lib";

// Single quotes and backslashes, as postgresql.conf wants them.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + "'";
}

Status make_empty_directory(Task& task, Env& env, const ComputeConfig& config, const std::string& path) {
  TRY(remove_tree(task, env.disk(), path).with("remove the old data directory"));
  SpawnOptions options;
  options.argv = {"/usr/bin/install", "-d", "-m", "700"};
  if (!config.postgres_user.empty()) {
    options.argv.push_back("-o");
    options.argv.push_back(config.postgres_user);
  }
  options.argv.push_back(path);
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  TRY_ASSIGN(std::unique_ptr<Process> process, env.processes()->spawn(task, options));
  TRY_ASSIGN(ExitStatus status, process->wait(task));
  if (!status.clean()) return Error(Code::Io, "make directory " + path + ": install failed");
  return {};
}

// Appends an archive of the endpoint's own files.
Status write_own_files(Task& task, const ComputeConfig& config, const std::string& data_directory,
                       ByteView extension, Stream& out) {
  pg::TarWriter writer([&](ByteView bytes) { return write_all(task, out, bytes); }, 0);
  TRY(writer.directory(std::string(kExtensionFolder)));
  TRY(writer.file(join_path(kExtensionFolder, "argon.so"), extension));
  TRY(writer.file("postgresql.conf", as_bytes(postgresql_conf(config, data_directory))));
  TRY(writer.file("pg_hba.conf", as_bytes(pg_hba_conf())));
  if (config.mode != EndpointMode::Primary) TRY(writer.file("standby.signal", {}));
  return writer.finish();
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
  set("argon.pageserver_connstring",
      "host=" + config.pageserver.host + " port=" + std::to_string(config.pageserver.port));
  set("argon.sidecar_socket", socket_path(config));
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
      "log_line_prefix = '%m [%p] '\n"
      "timezone = 'UTC'\n"
      "log_timezone = 'UTC'\n";
  if (config.mode == EndpointMode::Primary) set("synchronous_standby_names", "argon");
  for (const std::string& line : config.settings) text += line + "\n";
  return text;
}

std::string pg_hba_conf() {
  return "# Written by argon. Trust on loopback only.\n"
         "host all all 127.0.0.1/32 trust\n"
         "host all all ::1/128 trust\n"
         "host replication all 127.0.0.1/32 trust\n"
         "host replication all ::1/128 trust\n";
}

Result<std::string> make_data_directory(Task& task, Env& env, const ComputeConfig& config, Lsn at) {
  if (env.processes() == nullptr)
    return Error(Code::Unsupported, "this world has no processes to unpack with");
  std::string path = join_path(config.directory, "pgdata");
  TRY(make_empty_directory(task, env, config, path));
  TRY_ASSIGN(Bytes extension, read_file(task, env.disk(), config.extension).with("read the extension"));

  SpawnOptions options;
  // Two archives follow each other: the pageserver's and ours; the later one wins.
  options.argv = {"/usr/bin/tar", "--extract", "--ignore-zeros", "--file", "-", "--directory", path};
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  options.user = config.postgres_user;
  options.in = ChildStream::pipe();
  options.err = ChildStream::pipe();
  TRY_ASSIGN(std::unique_ptr<Process> tar, env.processes()->spawn(task, options));
  BasebackupRequest request{.pageserver = config.pageserver,
                            .id = config.id,
                            .at = at,
                            .replica = config.mode == EndpointMode::Replica};
  Status copied = fetch_basebackup(task, request,
                                   [&](Task& t, ByteView bytes) { return write_all(t, *tar->in(), bytes); });
  if (copied.ok()) copied = write_own_files(task, config, path, extension, *tar->in());
  tar->in()->close();
  std::string complaint;
  uint8_t buffer[1024];
  for (;;) {
    Result<size_t> n = tar->err()->read(task, buffer);
    if (!n.ok() || *n == 0) break;
    if (complaint.size() < 4096) complaint += as_text(ByteView(buffer, *n));
  }
  TRY_ASSIGN(ExitStatus status, tar->wait(task));
  TRY(std::move(copied).with("base backup of " + to_string(config.id) + " at " + to_string(at) +
                             (complaint.empty() ? "" : " (tar: " + complaint + ")")));
  if (!status.clean()) return Error(Code::Io, "unpack the base backup into " + path + ": tar: " + complaint);
  return path;
}

}  // namespace argon::compute
