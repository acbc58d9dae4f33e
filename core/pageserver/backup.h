// Backup: base backups of a timeline at any LSN, with the fabricated checkpoint inside; or, for a server that
// is to follow the timeline, as of the redo point of the last checkpoint that its WAL has: a fabricated one
// would say that no transaction runs.

#pragma once

#include <functional>

#include "core/pageserver/timeline.h"
#include "core/pg/basebackup.h"

namespace argon::pageserver {

struct BackupOptions {
  Lsn lsn;                  // REQUIRES: reached (Timeline::read_point)
  bool follower = false;    // which begins at the last checkpoint up to the LSN, without WAL of its own
  bool everything = false;  // with relations: a plain data directory
  bool tablespaces_in_place = false;  // pg::BasebackupOptions
  // Called before the archive's first byte with what the checkpoint record takes, which is all the WAL that a
  // start needs. Not for a follower.
  std::function<Status(Lsn begin, Lsn end)> begun;
};

// Writes the archive. Suspends in the sink and in reads. Errors: Invalid where no record can start at
// the LSN; Unavailable where a follower finds no checkpoint in the timeline's WAL; the sink's and the
// timeline's.
Status write_backup(Task& task, Timeline& timeline, const BackupOptions& options, const pg::TarSink& sink);

}  // namespace argon::pageserver
