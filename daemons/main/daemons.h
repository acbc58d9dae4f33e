// `argon broker | safekeeper | pageserver | proxy | compute`: one daemon in the foreground, as argon.toml
// says.

#pragma once

#include <string>

#include "daemons/main/session.h"
#include "daemons/posix/daemon.h"

namespace argon::cli {

// Each returns the exit status of the process.
int broker_main(const Globals& globals);
int safekeeper_main(const Globals& globals, uint64_t id);
int pageserver_main(const Globals& globals, uint64_t id);  // 0: the first
int proxy_main(const Globals& globals);
int compute_main(const Globals& globals, const std::string& endpoint);

// What the mains share. An error before the daemon's own log is there: printed; gives the exit status.
int refuse(const Globals& globals, const Error& error);
posix::DaemonOptions options_for(const Globals& globals, const Config& config, std::string node,
                                 const std::string& pid_file);
// The folder of a daemon that is started by hand beside a cluster that runs.
Status make_node_folder(const std::string& path);

// A library for PostgreSQL of this build or installation, as argon.so, looked for from the program's own
// place.
Result<std::string> find_library(const std::string& name);

}  // namespace argon::cli
