// PostgresServer: one run of a stock server as a child process: start, readiness, stop.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/compute/config.h"
#include "core/env/env.h"

namespace argon::compute {

struct SettingsInForce {
  std::vector<std::string> pending_restart;  // names of settings that only a start takes up
  std::vector<std::string> refused;          // "work_mem: why"
};

class PostgresServer {
 public:
  // Spawns the server on the data directory. Errors: NotFound (no such program, user), Io.
  static Result<std::unique_ptr<PostgresServer>> start(Task& task, Env& env, Logger log,
                                                       const ComputeConfig& config,
                                                       const std::string& data_directory);

  // Waits until it accepts connections. Errors: Unavailable if it ended before (the message shows the
  // end of its log), TimedOut, Cancelled.
  Status wait_ready(Task& task);
  // Waits until it ends.
  Result<ExitStatus> wait(Task& task) { return process_->wait(task); }
  // CHECKPOINT, then a fast shutdown; after config.stop_timeout an immediate one. Returns when the
  // server has ended. To be called under a Shield.
  Status stop(Task& task);
  // Ends it at once, without a checkpoint, and waits for that.
  Status stop_now(Task& task);
  // Tells it to read postgresql.conf again. REQUIRES: it was ready.
  Status reload();
  // What it made of that, asked on a connection of our own. Errors: those of the connection, TimedOut.
  Result<SettingsInForce> settings_in_force(Task& task);
  int pid() const { return process_->pid(); }
  // The last lines of its log, for error messages.
  static std::string log_tail(Task& task, Env& env, const ComputeConfig& config);

 private:
  PostgresServer(Env& env, Logger log, const ComputeConfig& config, std::string data_directory,
                 std::unique_ptr<Process> process)
      : env_(env),
        log_(std::move(log)),
        config_(config),
        data_directory_(std::move(data_directory)),
        process_(std::move(process)) {}
  Status checkpoint(Task& task);
  Result<ExitStatus> wait_for(Task& task, Duration limit);

  Env& env_;
  Logger log_;
  const ComputeConfig& config_;
  std::string data_directory_;
  std::unique_ptr<Process> process_;
};

// How a process ended, in words.
std::string to_string(const ExitStatus& status);

}  // namespace argon::compute
