// Daemons in the background: started as children that outlive the command, found again by their pid
// files, polled until healthy, stopped by signals.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/env/env.h"

namespace argon::cli {

// This program, by a path that a daemon may keep.
std::string self_path();

struct Background {
  std::string name;               // "pageserver 1", for messages
  std::vector<std::string> args;  // of argon
  std::string pid_file;
  std::string log_file;
  Address http;       // where it answers
  std::string ready;  // path to ask for
  std::string state;  // wanted value of "status" in the answer; empty: any answer of 200
};

// Prints one line of progress, unless the command's output is JSON.
using Progress = std::function<void(const std::string&)>;

enum class Started { Now, RanAlready };

// Errors: Unavailable (it ended, with the end of its log; or it is not ready in time, and is stopped).
Result<Started> start_background(Task& task, Env& env, const Background& daemon, Duration timeout,
                                 const Progress& progress);

enum class StopMode { Fast, Immediate };

// Ok where it does not run. A fast stop that takes longer than the timeout becomes an immediate one.
Status stop_background(Task& task, const std::string& name, const std::string& pid_file, StopMode mode,
                       Duration timeout, const Progress& progress);

// Ends the PostgreSQL server of a data directory whose sidecar is gone, by SIGQUIT. Ok where none runs.
Status stop_orphan_server(Task& task, const std::string& data_directory);
// The server that runs on it, or 0.
int server_of(const std::string& data_directory);

}  // namespace argon::cli
