// The data directory of an endpoint: made anew from the pageserver's base backup at every start. Beside it
// the folder of the local file cache, which is not touched: the server knows what of it is still right.

#pragma once

#include <string>

#include "core/compute/config.h"
#include "core/env/env.h"
#include "core/pg/control_file.h"

namespace argon::compute {

// Replaces DIRECTORY/pgdata by a base backup at `at`, or of a replica at the last checkpoint, and the
// endpoint's own files: postgresql.conf, pg_hba.conf, the extension. Unpacked by a `tar` child as the
// server's user, so that the files are its own whoever runs the sidecar. Errors: the pageserver's; Io;
// Invalid where the backup is of another system than the configuration says.
struct DataDirectory {
  std::string path;
  uint64_t system_id = 0;
  pg::ControlSettings primary;  // as of the base backup
};
Result<DataDirectory> make_data_directory(Task& task, Env& env, const ComputeConfig& config, Lsn at);
// Its postgresql.conf by the configuration as it is now, in one step. Errors: Io, NotFound (there is none).
Status rewrite_postgresql_conf(Task& task, Env& env, const ComputeConfig& config,
                               const DataDirectory& directory);
// Ok where there is none.
Status remove_data_directory(Task& task, Env& env, const ComputeConfig& config);

// What postgresql.conf says; Argon's own settings first (DESIGN: the local disk is only a buffer).
std::string postgresql_conf(const ComputeConfig& config, const std::string& data_directory);
// Further lines for an endpoint that only reads, where its settings are below those of the primary at this
// LSN: a hot standby refuses to start with less.
std::string standby_settings(const pg::ControlSettings& primary, const std::vector<std::string>& settings);
std::string pg_hba_conf();
std::string socket_path(const ComputeConfig& config);

}  // namespace argon::compute
