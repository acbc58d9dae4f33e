// PostgreSQL's CheckPoint: the body of checkpoint records, and a part of pg_control.
//
// 88 bytes in 15 (catalog/pg_control.h).

#pragma once

#include <string>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/pg/constants.h"

namespace argon::pg {

inline constexpr size_t kCheckpointSize = 88;

struct Checkpoint {
  Lsn redo;
  uint32_t tli = kTimelineId;
  uint32_t prev_tli = kTimelineId;
  bool full_page_writes = false;
  uint64_t next_xid = kFirstNormalXid;  // with the epoch in the high half
  Oid next_oid = kFirstGenbkiOid;
  MultiXactId next_multi = 1;
  uint32_t next_multi_offset = 0;
  Xid oldest_xid = kFirstNormalXid;
  Oid oldest_xid_db = kTemplate1Db;
  MultiXactId oldest_multi = 1;
  Oid oldest_multi_db = kTemplate1Db;
  int64_t time = 0;  // seconds since 1970
  Xid oldest_commit_ts_xid = 0;
  Xid newest_commit_ts_xid = 0;
  Xid oldest_active_xid = 0;  // 0 in a shutdown checkpoint

  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// Appends 88 bytes; padding is zero.
void encode_checkpoint(Bytes& out, const Checkpoint& checkpoint);
// Code::Corrupt where `bytes` is not 88 long or a flag is neither 0 nor 1.
Result<Checkpoint> decode_checkpoint(ByteView bytes);

std::string to_string(const Checkpoint& checkpoint);

}  // namespace argon::pg
