// Session: what every command of `argon` works with.

#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/env/env.h"
#include "daemons/main/background.h"
#include "daemons/main/config.h"
#include "daemons/main/state.h"
#include "daemons/posix/fd.h"

namespace argon::cli {

struct Globals {
  std::string dir;
  bool json = false;
  std::string log_file;                // of a daemon; empty: standard error
  nlohmann::json* answered = nullptr;  // borrowed; where main finds the answer

  // The one JSON value of a command with --json. Main prints it, once the command is done; where that fails,
  // its message is the value's "error".
  void answer(nlohmann::json value) const { *answered = std::move(value); }
};

// What a command ends with: an error as one line on standard error; with --json, the answer on standard
// output, which has the error too. False where standard output did not take it.
bool print_end(const Globals& globals, const Status& status);

// Waits for a lock of that name in the state folder, held as long as the descriptor is open. Unavailable
// after a minute.
Result<posix::Fd> lock_folder(Task& task, const Config& config, const std::string& name);

class Session {
 public:
  // Loads configuration and state. With `exclusive`, waits until no other command changes them.
  static Result<Session> open(Task& task, Env& env, const Globals& globals, bool exclusive);

  Env& env() { return *env_; }
  const Config& config() const { return config_; }
  State& state() { return state_; }
  bool json() const { return json_; }
  Status save() { return save_state(config_, state_); }

  // A line of progress: on standard output, or on standard error where that is for JSON.
  void say(const std::string& line) const;
  Progress progress() const;

  // Calls a pageserver's management interface. Unavailable says how to start it.
  Result<nlohmann::json> pageserver_at(Task& task, const PageserverNode& node, const std::string& method,
                                       const std::string& path, const nlohmann::json& body = nullptr,
                                       Duration timeout = Duration::seconds(30));
  // Of the one that serves the tenant whose the path is; else of the first.
  Result<nlohmann::json> pageserver(Task& task, const std::string& method, const std::string& path,
                                    const nlohmann::json& body = nullptr,
                                    Duration timeout = Duration::seconds(30));
  // What it says of each timeline of a tenant, archived ones too: a list.
  Result<nlohmann::json> timelines(Task& task, const TenantId& tenant);

 private:
  Env* env_ = nullptr;
  Config config_;
  State state_;
  bool json_ = false;
  posix::Fd lock_;
};

// A table with columns as wide as their widest cell, a blank between.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace argon::cli
