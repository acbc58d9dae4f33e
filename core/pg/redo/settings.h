// What of a cluster changes what redo does, carried with the timeline: its settings, and its version.

#pragma once

#include "core/pg/constants.h"

namespace argon::pg::redo {

struct RedoSettings {
  bool data_checksums = false;  // pg_control, fixed at initdb (or changed offline)
  bool wal_log_hints = false;   // pg_control; XLOG PARAMETER_CHANGE changes it
  bool track_commit_timestamp = false;
  uint32_t major = kPostgresMajor;  // of the server that wrote the WAL

  // XLogHintBitIsNeeded: setting a page's hint may be logged, so HEAP2 VISIBLE moves the page LSN.
  bool hint_bits_logged() const { return data_checksums || wal_log_hints; }

  friend bool operator==(const RedoSettings&, const RedoSettings&) = default;
};

}  // namespace argon::pg::redo
