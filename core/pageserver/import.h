// Import: a PostgreSQL data directory that was shut down cleanly becomes the base of a timeline.

#pragma once

#include <functional>
#include <vector>

#include "core/env/env.h"
#include "core/pageserver/key.h"
#include "core/pg/control_file.h"

namespace argon::pageserver {

struct Import {
  pg::ControlFile control;
  Lsn end;   // end of the shutdown checkpoint's record: the timeline's first LSN
  Lsn prev;  // its start
  std::vector<std::pair<Key, Bytes>> entries;  // sorted by key
};

// Reads everything below `folder`. Suspends. Invalid: not a data directory, not shut down cleanly;
// Unsupported: of another version, with user tablespaces, or with files no such server makes.
// A `system_id` other than 0 takes the place of the folder's own.
Result<Import> import_data_directory(Task& task, Disk& disk, const std::string& folder,
                                     uint64_t system_id = 0);

}  // namespace argon::pageserver
