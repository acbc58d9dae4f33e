#include "core/pg/checkpoint_tracker.h"

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/pg/record_types.h"
#include "core/pg/xact_record.h"

namespace argon::pg {

namespace {

constexpr uint32_t kStateMagic = 0x54435241;  // "ARCT"
constexpr uint16_t kStateVersion = 2;         // 1 ends behind the prepared transactions
constexpr size_t kMaxPrepared = 1u << 20;

Error too_short(const DecodedRecord& record) {
  return Error(Code::Corrupt, to_string(record) + " is too short");
}

bool circle_precedes(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(a - b) < 0;
}

}  // namespace

bool xid_precedes(Xid a, Xid b) {
  if (a < kFirstNormalXid || b < kFirstNormalXid) return a < b;
  return circle_precedes(a, b);
}

bool multi_precedes(MultiXactId a, MultiXactId b) {
  return circle_precedes(a, b);
}

uint64_t round_up_xid(uint64_t full) {
  uint64_t rounded = (full + kXidStep - 1) / kXidStep * kXidStep;
  // The first ids of an epoch are not normal ones.
  if (static_cast<uint32_t>(rounded) < kFirstNormalXid) rounded += kFirstNormalXid;
  return rounded;
}

Bytes encode_tracked_state(const TrackedState& state) {
  Bytes out;
  Writer w(out);
  w.le(kStateMagic).le(kStateVersion);
  encode_checkpoint(out, state.checkpoint);
  const ControlSettings& s = state.settings;
  w.le(static_cast<uint32_t>(s.wal_level)).u8(s.wal_log_hints).u8(s.track_commit_timestamp);
  w.le(s.max_connections).le(s.max_worker_processes).le(s.max_wal_senders);
  w.le(s.max_prepared_xacts).le(s.max_locks_per_xact);
  w.u8(state.data_checksums).le(state.shutdown_end.value).le(static_cast<uint32_t>(state.prepared.size()));
  for (Xid xid : state.prepared) w.le(xid);
  w.le(state.checkpoint_lsn.value).le(state.checkpoint_redo.value);
  w.le(crc32c(out));
  return out;
}

Result<TrackedState> decode_tracked_state(ByteView bytes) {
  auto bad = [](const char* what) {
    return Error(Code::Corrupt, std::string("tracked checkpoint: ") + what);
  };
  if (bytes.size() < 10) return bad("too short");
  Reader in(bytes);
  if (in.le<uint32_t>() != kStateMagic) return bad("wrong magic");
  auto version = in.le<uint16_t>();
  if (version < 1 || version > kStateVersion)
    return Error(Code::Unsupported, "tracked checkpoint: unknown version " + std::to_string(version));
  size_t body = bytes.size() - 4;
  if (load_le<uint32_t>(bytes.data() + body) != crc32c(bytes.first(body))) return bad("wrong checksum");
  TrackedState state;
  TRY_ASSIGN(state.checkpoint, decode_checkpoint(in.bytes(kCheckpointSize)));
  ControlSettings& s = state.settings;
  s.wal_level = static_cast<WalLevel>(in.le<uint32_t>());
  s.wal_log_hints = in.u8() != 0;
  s.track_commit_timestamp = in.u8() != 0;
  s.max_connections = in.le<uint32_t>();
  s.max_worker_processes = in.le<uint32_t>();
  s.max_wal_senders = in.le<uint32_t>();
  s.max_prepared_xacts = in.le<uint32_t>();
  s.max_locks_per_xact = in.le<uint32_t>();
  state.data_checksums = in.u8() != 0;
  state.shutdown_end = Lsn(in.le<uint64_t>());
  XidArray prepared(in.bytes(size_t{in.le<uint32_t>()} * 4));
  if (version >= 2) {
    state.checkpoint_lsn = Lsn(in.le<uint64_t>());
    state.checkpoint_redo = Lsn(in.le<uint64_t>());
  }
  in.skip(4);
  if (!in.finished()) return bad("its parts do not add up to its length");
  if (s.wal_level > WalLevel::Logical) return bad("unknown wal_level");
  for (size_t i = 0; i < prepared.size(); i++) state.prepared.push_back(prepared.at(i));
  return state;
}

CheckpointTracker::CheckpointTracker(const ControlFile& control) {
  state_.checkpoint = control.checkpoint;
  state_.checkpoint.redo = Lsn();
  state_.settings = control.settings;
  state_.data_checksums = control.data_checksums();
}

CheckpointTracker::CheckpointTracker(TrackedState state) : state_(std::move(state)) {}

TrackedState CheckpointTracker::published() const {
  TrackedState out = state_;
  // A clean shutdown says exactly where ids go on.
  if (!out.shutdown_end.valid()) out.checkpoint.next_xid = round_up_xid(out.checkpoint.next_xid);
  return out;
}

Result<bool> CheckpointTracker::apply(const DecodedRecord& record) {
  changed_ = false;
  uint64_t before = published().checkpoint.next_xid;
  if (record.xid != kInvalidXid) see_xid(record.xid);
  if (record.toplevel_xid != kInvalidXid) see_xid(record.toplevel_xid);
  bool shutdown = record.is(Rmgr::Xlog, xlog::kCheckpointShutdown);
  set(state_.shutdown_end, shutdown ? record.end_lsn : Lsn());
  Status status;
  if (record.is(Rmgr::Xlog)) status = apply_xlog(record);
  if (record.is(Rmgr::Xact)) status = apply_xact(record);
  if (record.is(Rmgr::MultiXact)) status = apply_multixact(record);
  if (record.is(Rmgr::Clog) || record.is(Rmgr::CommitTs)) status = apply_truncation(record);
  if (record.is(Rmgr::Standby)) status = apply_running(record);
  TRY(std::move(status));
  return changed_ || before != published().checkpoint.next_xid;
}

bool CheckpointTracker::apply_xid(Xid xid) {
  changed_ = false;
  uint64_t before = published().checkpoint.next_xid;
  see_xid(xid);
  set(state_.shutdown_end, Lsn());
  return changed_ || before != published().checkpoint.next_xid;
}

Status CheckpointTracker::apply_xlog(const DecodedRecord& record) {
  ByteView main = record.main_data;
  switch (record.type()) {
    case xlog::kCheckpointShutdown:
    case xlog::kCheckpointOnline:
      return apply_checkpoint(record, record.type() == xlog::kCheckpointShutdown);
    case xlog::kNextOid:
      if (main.size() < 4) return too_short(record);
      set(state_.checkpoint.next_oid, load_le<Oid>(main.data()));
      return {};
    case xlog::kParameterChange:
      return apply_parameters(record);
    case xlog::kFpwChange:
      if (main.empty()) return too_short(record);
      set(state_.checkpoint.full_page_writes, main[0] != 0);
      return {};
    default:
      return {};
  }
}

Status CheckpointTracker::apply_checkpoint(const DecodedRecord& record, bool shutdown) {
  TRY_ASSIGN(Checkpoint seen, decode_checkpoint(record.main_data).with(to_string(record)));
  Checkpoint& own = state_.checkpoint;
  set(state_.checkpoint_lsn, record.start_lsn);
  set(state_.checkpoint_redo, seen.redo);
  if (shutdown) {
    set(own.next_xid, seen.next_xid);
    set(own.next_oid, seen.next_oid);
    set(own.next_multi, seen.next_multi);
    set(own.next_multi_offset, seen.next_multi_offset);
    Xid oldest = static_cast<Xid>(seen.next_xid);
    for (Xid xid : state_.prepared)
      if (xid_precedes(xid, oldest)) oldest = xid;
    set_oldest_active(oldest);
    // xlog_redo: SetTransactionIdLimit whether it moved or not, so that the database is the newest that had
    // it.
    set(own.oldest_xid, seen.oldest_xid);
    set(own.oldest_xid_db, seen.oldest_xid_db);
  } else {
    if (own.next_xid < seen.next_xid) set(own.next_xid, seen.next_xid);
    see_multi(seen.next_multi, seen.next_multi_offset);
    if (seen.oldest_active_xid != kInvalidXid) set_oldest_active(seen.oldest_active_xid);
    set_oldest_xid(seen.oldest_xid, seen.oldest_xid_db);
  }
  set_oldest_multi(seen.oldest_multi, seen.oldest_multi_db);
  set(own.full_page_writes, seen.full_page_writes);
  set(own.time, seen.time);
  if (own.oldest_commit_ts_xid == kInvalidXid && state_.settings.track_commit_timestamp) {
    set(own.oldest_commit_ts_xid, seen.oldest_commit_ts_xid);
    set(own.newest_commit_ts_xid, seen.newest_commit_ts_xid);
  }
  return {};
}

Status CheckpointTracker::apply_parameters(const DecodedRecord& record) {
  Reader in(record.main_data);
  ControlSettings seen;
  seen.max_connections = in.le<uint32_t>();
  seen.max_worker_processes = in.le<uint32_t>();
  seen.max_wal_senders = in.le<uint32_t>();
  seen.max_prepared_xacts = in.le<uint32_t>();
  seen.max_locks_per_xact = in.le<uint32_t>();
  auto level = in.le<uint32_t>();
  seen.wal_log_hints = in.u8() != 0;
  seen.track_commit_timestamp = in.u8() != 0;
  if (in.failed()) return too_short(record);
  if (level > static_cast<uint32_t>(WalLevel::Logical))
    return Error(Code::Corrupt, to_string(record) + ": unknown wal_level " + std::to_string(level));
  seen.wal_level = static_cast<WalLevel>(level);
  set(state_.settings, seen);
  Checkpoint& own = state_.checkpoint;
  if (!seen.track_commit_timestamp) {
    set(own.oldest_commit_ts_xid, kInvalidXid);
    set(own.newest_commit_ts_xid, kInvalidXid);
  } else if (own.oldest_commit_ts_xid == kInvalidXid) {
    set(own.oldest_commit_ts_xid, static_cast<Xid>(own.next_xid));
    set(own.newest_commit_ts_xid, static_cast<Xid>(own.next_xid));
  }
  return {};
}

Status CheckpointTracker::apply_xact(const DecodedRecord& record) {
  uint8_t type = record.info & xact::kTypeMask;
  std::vector<Xid>& prepared = state_.prepared;
  if (is_xact_end(record)) {
    TRY_ASSIGN(XactEnd end, parse_xact_end(record));
    Xid latest = end.xid;
    for (size_t i = 0; i < end.subxacts.size(); i++)
      if (xid_precedes(latest, end.subxacts.at(i))) latest = end.subxacts.at(i);
    see_xid(latest);
    if (end.commit) see_commit(latest);
    if (end.prepared) changed_ = std::erase(prepared, end.xid) > 0 || changed_;
  } else if (type == xact::kPrepare) {
    TRY_ASSIGN(XactPrepare prepare, parse_prepare(record.main_data).with(to_string(record)));
    see_xid(prepare.xid);
    for (size_t i = 0; i < prepare.subxacts.size(); i++) see_xid(prepare.subxacts.at(i));
    auto at = std::lower_bound(prepared.begin(), prepared.end(), prepare.xid);
    if ((at == prepared.end() || *at != prepare.xid) && prepared.size() < kMaxPrepared) {
      prepared.insert(at, prepare.xid);
      changed_ = true;
    }
  } else if (type == xact::kAssignment) {
    if (record.main_data.size() < 8) return too_short(record);
    see_xid(load_le<Xid>(record.main_data.data()));
    XidArray subxacts(record.main_data.subspan(8));
    for (size_t i = 0; i < subxacts.size(); i++) see_xid(subxacts.at(i));
  }
  return {};
}

Status CheckpointTracker::apply_multixact(const DecodedRecord& record) {
  Reader in(record.main_data);
  if (record.type() == multixact::kCreateId) {
    auto multi = in.le<MultiXactId>();
    auto offset = in.le<uint32_t>();
    auto members = in.le<uint32_t>();
    RecordArray<uint64_t, 8> list(in.bytes(size_t{members} * 8));  // xid, status
    if (in.failed()) return too_short(record);
    for (size_t i = 0; i < list.size(); i++) see_xid(static_cast<Xid>(list.at(i)));
    see_multi(multi + 1, offset + members);
  } else if (record.type() == multixact::kTruncateId) {
    auto db = in.le<Oid>();
    in.skip(4);
    auto oldest = in.le<MultiXactId>();
    if (in.failed()) return too_short(record);
    set_oldest_multi(oldest, db);
  }
  return {};
}

Status CheckpointTracker::apply_truncation(const DecodedRecord& record) {
  if (record.type() != slru::kTruncate) return {};
  Reader in(record.main_data);
  in.skip(4);
  Xid oldest = in.le<Xid>();
  if (record.is(Rmgr::Clog)) {
    Oid db = in.le<Oid>();
    if (in.failed()) return too_short(record);
    set_oldest_xid(oldest, db);
    return {};
  }
  if (in.failed()) return too_short(record);
  Xid& own = state_.checkpoint.oldest_commit_ts_xid;
  if (own != kInvalidXid && xid_precedes(own, oldest)) set(own, oldest);
  return {};
}

Status CheckpointTracker::apply_running(const DecodedRecord& record) {
  if (record.type() != standby::kRunningXacts) return {};
  Reader in(record.main_data);
  in.skip(12);
  Xid next = in.le<Xid>();
  Xid oldest_running = in.le<Xid>();
  if (in.failed()) return too_short(record);
  if (next > kFirstNormalXid) see_xid(next - 1);
  set_oldest_active(oldest_running);
  return {};
}

// AdvanceNextFullTransactionIdPastXid: the epoch grows where the ids wrap.
void CheckpointTracker::see_xid(Xid xid) {
  if (xid < kFirstNormalXid) return;
  uint64_t& next = state_.checkpoint.next_xid;
  auto next32 = static_cast<Xid>(next);
  if (xid_precedes(xid, next32)) return;
  uint64_t epoch = next >> 32;
  Xid advanced = xid + 1;
  if (advanced < kFirstNormalXid) advanced = kFirstNormalXid;
  if (advanced < next32) epoch++;
  next = epoch << 32 | advanced;
}

void CheckpointTracker::see_multi(MultiXactId next, uint32_t next_offset) {
  Checkpoint& own = state_.checkpoint;
  if (next == 0) next = 1;
  if (multi_precedes(own.next_multi, next)) set(own.next_multi, next);
  if (circle_precedes(own.next_multi_offset, next_offset)) set(own.next_multi_offset, next_offset);
}

void CheckpointTracker::see_commit(Xid latest) {
  Xid& newest = state_.checkpoint.newest_commit_ts_xid;
  if (state_.settings.track_commit_timestamp && newest != kInvalidXid && xid_precedes(newest, latest))
    set(newest, latest);
}

void CheckpointTracker::set_oldest_xid(Xid xid, Oid db) {
  if (!xid_precedes(state_.checkpoint.oldest_xid, xid)) return;
  set(state_.checkpoint.oldest_xid, xid);
  set(state_.checkpoint.oldest_xid_db, db);
}

void CheckpointTracker::set_oldest_multi(MultiXactId multi, Oid db) {
  if (!multi_precedes(state_.checkpoint.oldest_multi, multi)) return;
  set(state_.checkpoint.oldest_multi, multi);
  set(state_.checkpoint.oldest_multi_db, db);
}

void CheckpointTracker::set_oldest_active(Xid xid) {
  set(state_.checkpoint.oldest_active_xid, xid);
}

}  // namespace argon::pg
