// What a checkpoint at the current end of WAL would say, kept up to date from the WAL itself.
//
// A server is started at an LSN from a fabricated checkpoint (fabricated_checkpoint.h), so every
// counter that recovery would restore must be known there: transaction ids, object ids, multixacts,
// commit-timestamp limits, and the settings that WAL carries in PARAMETER_CHANGE. The rules are those
// of the server's own redo: a shutdown checkpoint is believed exactly, an online one as a minimum
// (its nextOid not at all), limits go forward only. Comparisons wrap around as the server's do.
// Sources: xlog_redo in xlog.c, multixact.c, commit_ts.c, clog.c, xact.c, procarray.c.
//
// nextXid is published rounded up to kXidStep, so that what is stored changes once in 1024
// transactions; the step divides a CLOG page, so the rounded value never names a page that is not
// there. Skipped ids were never used and read as aborted.

#pragma once

#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/checkpoint.h"
#include "core/pg/control_file.h"
#include "core/pg/wal_record.h"

namespace argon::pg {

inline constexpr uint32_t kXidStep = 1024;

struct TrackedState {
  Checkpoint checkpoint;     // redo is not kept: it is 0
  ControlSettings settings;  // as of the last PARAMETER_CHANGE
  bool data_checksums = false;
  Lsn shutdown_end;           // end of the last record if that was a shutdown checkpoint, else 0
  std::vector<Xid> prepared;  // transactions prepared and not ended, ascending
  // The last checkpoint record of the WAL, and where its redo begins; 0: there was none since this is kept.
  Lsn checkpoint_lsn;
  Lsn checkpoint_redo;

  // HEAP2 VISIBLE then sets the heap page's LSN, and hint bits are logged.
  bool hint_bits_logged() const { return data_checksums || settings.wal_log_hints; }
  friend bool operator==(const TrackedState&, const TrackedState&) = default;
};

Bytes encode_tracked_state(const TrackedState& state);
Result<TrackedState> decode_tracked_state(ByteView bytes);

class CheckpointTracker {
 public:
  // From an imported cluster's pg_control: exact where it was shut down cleanly, else as of its
  // last checkpoint, whose WAL must follow.
  explicit CheckpointTracker(const ControlFile& control);
  explicit CheckpointTracker(TrackedState state);

  // Takes the next record of the timeline, in order; true if published() has changed. Code::Corrupt
  // names the record's LSN where its body is too short.
  Result<bool> apply(const DecodedRecord& record);
  // The same for a record of which only the xid counts.
  bool apply_xid(Xid xid);

  // The state to store, and to start servers from: nextXid rounded up.
  TrackedState published() const;
  // The state itself: nextXid is the highest id seen, plus one.
  const TrackedState& exact() const { return state_; }

 private:
  Status apply_xlog(const DecodedRecord& record);
  Status apply_checkpoint(const DecodedRecord& record, bool shutdown);
  Status apply_parameters(const DecodedRecord& record);
  Status apply_xact(const DecodedRecord& record);
  Status apply_multixact(const DecodedRecord& record);
  Status apply_truncation(const DecodedRecord& record);
  Status apply_running(const DecodedRecord& record);

  void see_xid(Xid xid);
  void see_multi(MultiXactId next, uint32_t next_offset);
  void see_commit(Xid latest);
  void set_oldest_xid(Xid xid, Oid db);
  void set_oldest_multi(MultiXactId multi, Oid db);
  void set_oldest_active(Xid xid);
  template <typename T>
  void set(T& field, T value) {
    changed_ = changed_ || field != value;
    field = value;
  }

  TrackedState state_;
  bool changed_ = false;  // by the record being applied, other than by nextXid
};

// Transaction ids on their circle: permanent ones (below 3) precede every other.
bool xid_precedes(Xid a, Xid b);
bool multi_precedes(MultiXactId a, MultiXactId b);
// `full` rounded up to the step, or the same.
uint64_t round_up_xid(uint64_t full);

}  // namespace argon::pg
