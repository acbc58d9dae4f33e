// Daemons in the background: started as sessions of their own, found again by their pid files.

#pragma once

#include <string>
#include <vector>

#include "core/env/env.h"

namespace argon::cli {

struct Daemon {
  std::string name;                    // "pageserver", for people
  std::vector<std::string> arguments;  // of this program: {"pageserver", "--dir", …}
  std::string pid_file;
  std::string log_file;
  Address status;  // answers GET status_path with 200 once it serves
  std::string status_path = "/v1/status";
  // What "status" must say in the answer's JSON before it counts as ready; empty: nothing.
  std::string ready_when = {};
};

enum class DaemonState { Stopped, Running, Crashed };

// A pid file that names a process which is not there any more is what a crash leaves.
DaemonState daemon_state(const std::string& pid_file);

// Starts it unless it runs already, and waits until it serves; tells of it on standard error. Errors: the
// end of its log where it ended; TimedOut.
Status start_daemon(Task& task, Env& env, const Daemon& daemon, Duration timeout);
// SIGTERM (or, `immediate`, SIGKILL), and waits until it is gone. Ok where it does not run.
Status stop_daemon(Task& task, const std::string& name, const std::string& pid_file, bool immediate,
                   Duration timeout);

}  // namespace argon::cli
