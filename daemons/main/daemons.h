// `argon broker | safekeeper | pageserver | compute`: one daemon in the foreground, as argon.toml says.

#pragma once

#include <string>

#include "daemons/main/session.h"

namespace argon::cli {

// Each returns the exit status of the process.
int broker_main(const Globals& globals);
int safekeeper_main(const Globals& globals, uint64_t id);
int pageserver_main(const Globals& globals);
int compute_main(const Globals& globals, const std::string& endpoint);

// A library for PostgreSQL of this build or installation, as argon.so, looked for from the program's own
// place.
Result<std::string> find_library(const std::string& name);

}  // namespace argon::cli
