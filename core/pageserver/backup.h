// Backup: base backups of a timeline at any LSN, with the fabricated checkpoint inside.

#pragma once

#include "core/pageserver/timeline.h"
#include "core/pg/basebackup.h"

namespace argon::pageserver {

struct BackupOptions {
  Lsn lsn;  // REQUIRES: reached (Timeline::read_point)
  bool standby = false;
  bool everything = false;  // with relations: a plain data directory
};

// Writes the archive. Suspends in the sink and in reads. Errors: Invalid where no record can start at
// the LSN; the sink's and the timeline's.
Status write_backup(Task& task, Timeline& timeline, const BackupOptions& options, const pg::TarSink& sink);

}  // namespace argon::pageserver
