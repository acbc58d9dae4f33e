// Where a model compute starts: what it takes from a base backup.

#pragma once

#include "core/compute/basebackup_fetch.h"
#include "core/pg/control_file.h"

namespace argon::compute {

struct ModelStart {
  pg::ControlFile control;
  Lsn record;  // the fabricated checkpoint's
  Lsn end;     // of it: where own WAL goes on
  Bytes wal;   // the bytes from the start position to `end`, page header included
};

// Fetches the base backup at request.at (REQUIRED) and takes out pg_control and the WAL that the compute
// sends first. Corrupt where the backup does not start at that LSN.
Result<ModelStart> fetch_model_start(Task& task, const BasebackupRequest& request);

}  // namespace argon::compute
