// A cluster's WAL, from a data directory as it was before and a folder of segments. For the proofs.

#pragma once

#include <functional>
#include <string>

#include "core/pg/control_file.h"
#include "core/pg/redo/settings.h"
#include "core/pg/wal_record.h"

namespace argon::pg::redo {

// SEED/global/pg_control.
Result<ControlFile> read_control_file(const std::string& seed);
RedoSettings settings_of(const ControlFile& control);

// Calls `each` for every record from the control file's redo point on; an error of `each` ends it. The end of
// the WAL is none: it is printed.
Status replay(const std::string& wal, const ControlFile& control,
              const std::function<Status(const DecodedRecord&)>& each);

}  // namespace argon::pg::redo
