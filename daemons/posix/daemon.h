// run_daemon: a whole process around one daemon's function: env, log, pid file, signals.
//
// SIGTERM or SIGINT cancels the daemon's task (a graceful stop); SIGHUP opens the log anew, takes
// up the log level and calls on_reload; a second SIGTERM changes nothing. The pid file is locked for as long
// as the process lives, so one left over from a process that died stops nobody.

#pragma once

#include <functional>
#include <string>

#include "daemons/posix/posix_env.h"

namespace argon::posix {

struct DaemonOptions {
  std::string node;      // in every line of the log: "pageserver-1"
  std::string pid_file;  // empty: none
  std::string log_file;  // empty: standard error
  LogLevel log_level = LogLevel::Info;
  // A stop that takes longer ends the process all the same, with exit status 1.
  Duration stop_timeout = Duration::seconds(60);
  // On SIGHUP: the log level as it is configured now, and whatever else the daemon takes up anew.
  std::function<Result<LogLevel>()> reload_log_level;
  std::function<void(Task&, Env&)> on_reload;
  PosixOptions env;
};

// The exit status: 0 after a graceful stop or a body that returned ok (or Cancelled when told to
// stop), 1 after an error, which is logged; 2 where another process holds the pid file.
int run_daemon(const DaemonOptions& options, const std::function<Status(Task&, Env&)>& body);

// The process that holds the pid file's lock, or 0.
int pid_file_holder(const std::string& path);

}  // namespace argon::posix
