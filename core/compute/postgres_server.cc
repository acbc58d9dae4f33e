#include "core/compute/postgres_server.h"

#include "core/env/io.h"
#include "core/wire/pg_wire.h"

namespace argon::compute {
namespace {

constexpr int kSighup = 1;   // reads its configuration again
constexpr int kSigint = 2;   // fast shutdown
constexpr int kSigquit = 3;  // immediate shutdown
constexpr int kSigkill = 9;
constexpr Duration kPollInterval = Duration::milliseconds(10);
constexpr Duration kReadyTimeout = Duration::seconds(120);
constexpr Duration kQuitTimeout = Duration::seconds(10);
constexpr Duration kAskTimeout = Duration::seconds(5);

// Name and, where the file's value is no good, why. What only a start takes up counts as an error there, too.
constexpr const char* kSettingsQuery = R"(
SELECT name, NULL FROM pg_settings WHERE pending_restart
UNION ALL
SELECT coalesce(name, 'line ' || sourceline), error FROM pg_file_settings f
WHERE error IS NOT NULL AND NOT EXISTS (SELECT FROM pg_settings s WHERE s.name = f.name AND pending_restart))";

std::string log_path(const ComputeConfig& config) {
  return join_path(config.directory, "postgres.log");
}

// The eighth line of postmaster.pid is the server's own word on its state (PostgreSQL,
// src/include/utils/pidfile.h): "ready" once it accepts connections, "standby" for a hot standby.
bool says_ready(ByteView pid_file) {
  std::string_view text = as_text(pid_file);
  for (int line = 1; line < 8; line++) {
    size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
  return text.starts_with("ready") || text.starts_with("standby");
}

}  // namespace

std::string to_string(const ExitStatus& status) {
  if (status.signal != 0) return "ended by signal " + std::to_string(status.signal);
  return "exit status " + std::to_string(status.code);
}

Result<std::unique_ptr<PostgresServer>> PostgresServer::start(Task& task, Env& env, Logger log,
                                                              const ComputeConfig& config,
                                                              const std::string& data_directory) {
  Processes* processes = env.processes();
  if (processes == nullptr) return Error(Code::Unsupported, "this world has no processes to run a server");
  SpawnOptions options;
  options.argv = {join_path(config.postgres_bin, "postgres"), "-D", data_directory};
  options.environment = {
      {"PATH", config.postgres_bin + ":/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"TZ", "UTC"}};
  options.working_directory = config.directory;
  options.user = config.postgres_user;
  options.out = ChildStream::file(log_path(config));
  options.err = ChildStream::file(log_path(config));
  // Backends notice a killed postmaster too late; an immediate shutdown takes them along.
  options.parent_death_signal = kSigquit;
  TRY_ASSIGN(std::unique_ptr<Process> process, processes->spawn(task, options));
  return std::unique_ptr<PostgresServer>(
      new PostgresServer(env, std::move(log), config, data_directory, std::move(process)));
}

Status PostgresServer::wait_ready(Task& task) {
  Deadline deadline(task, kReadyTimeout);
  std::string pid_file = join_path(data_directory_, "postmaster.pid");
  for (;;) {
    Result<ExitStatus> ended = wait_for(task, kPollInterval);
    if (ended.ok())
      return Error(Code::Unavailable, "the server did not start (" + to_string(*ended) +
                                          "); its log ends with:\n" + log_tail(task, env_, config_));
    if (!ended.is(Code::TimedOut)) return ended.error();
    if (deadline.passed())
      return Error(Code::TimedOut,
                   "the server is not ready after " + std::to_string(kReadyTimeout.to_seconds()) + " s");
    Result<Bytes> content = read_file(task, env_.disk(), pid_file, 4096);
    if (content.ok() && says_ready(*content)) return {};
    if (!content.ok() && !content.is(Code::NotFound)) return content.error();
  }
}

Result<ExitStatus> PostgresServer::wait_for(Task& task, Duration limit) {
  Deadline deadline(task, limit);
  return process_->wait(task);
}

Status PostgresServer::checkpoint(Task& task) {
  Deadline deadline(task, config_.stop_timeout);
  TRY_ASSIGN(
      std::unique_ptr<wire::PgClient> client,
      wire::PgClient::connect(task, config_.listen, {{"user", "cloud_admin"}, {"database", "postgres"}}));
  TRY(client->query(task, "CHECKPOINT"));
  return {};
}

Status PostgresServer::reload() {
  return process_->kill(kSighup);
}

Result<SettingsInForce> PostgresServer::settings_in_force(Task& task) {
  Deadline deadline(task, kAskTimeout);
  TRY_ASSIGN(auto client, wire::PgClient::connect(task, config_.listen,
                                                  {{"user", "cloud_admin"}, {"database", "postgres"}}));
  TRY_ASSIGN(wire::QueryResult result, client->query(task, kSettingsQuery));
  SettingsInForce settings;
  for (const wire::Row& row : result.rows) {
    if (row.size() != 2 || !row[0]) return Error(Code::Corrupt, "the server's answer has another shape");
    if (row[1])
      settings.refused.push_back(*row[0] + ": " + *row[1]);
    else
      settings.pending_restart.push_back(*row[0]);
  }
  return settings;
}

Status PostgresServer::stop(Task& task) {
  // The shutdown checkpoint may not log FSM pages (that is a PANIC in PostgreSQL); this one does it before.
  if (config_.mode == EndpointMode::Primary) {
    Status checkpointed = checkpoint(task);
    if (!checkpointed.ok()) log_.warn("checkpoint before the stop: {}", checkpointed.error().to_string());
  }
  TRY(process_->kill(kSigint));
  Result<ExitStatus> ended = wait_for(task, config_.stop_timeout);
  if (ended.ok()) {
    log_.info("the server stopped: {}", to_string(*ended));
    return {};
  }
  if (!ended.is(Code::TimedOut)) return ended.error();
  log_.warn("the server did not stop within {} s (no quorum of safekeepers?): stopping it at once",
            config_.stop_timeout.to_seconds());
  return stop_now(task);
}

Status PostgresServer::stop_now(Task& task) {
  TRY(process_->kill(kSigquit));
  Result<ExitStatus> ended = wait_for(task, kQuitTimeout);
  if (ended.is(Code::TimedOut)) {
    TRY(process_->kill(kSigkill));
    ended = process_->wait(task);
  }
  TRY(ended);
  return {};
}

std::string PostgresServer::log_tail(Task& task, Env& env, const ComputeConfig& config) {
  constexpr size_t kTail = 2000;
  Result<Bytes> content = read_file(task, env.disk(), log_path(config), 256u << 20);
  if (!content.ok()) return "(" + content.error().to_string() + ")";
  std::string_view text = as_text(*content);
  return std::string(text.substr(text.size() > kTail ? text.size() - kTail : 0));
}

}  // namespace argon::compute
