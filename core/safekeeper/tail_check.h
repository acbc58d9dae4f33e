// The bytes of a timeline's last segment, from its start to where WAL was closed: that they decode to that
// end, and their checksum.

#pragma once

#include "core/pg/wal_stream.h"
#include "core/safekeeper/control_file.h"

namespace argon::safekeeper {

class TailCheck {
 public:
  // REQUIRES: control.closed_at is valid.
  explicit TailCheck(const TimelineControl& control);
  // The next bytes. Corrupt names the place, and what is wrong.
  Status add(ByteView bytes);
  // After the last: Corrupt where no record ends at closed_at.
  Status finish() const;
  uint32_t crc() const { return crc_; }

 private:
  Lsn end_;
  Lsn at_;
  Lsn wal_;  // what lies before in the segment is no WAL
  pg::WalStreamDecoder decoder_;
  uint32_t crc_ = 0;
};

}  // namespace argon::safekeeper
