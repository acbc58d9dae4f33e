// WalBuffer: the newest WAL of a proposer, kept until no safekeeper needs it from here.
//
// Holds [begin, end) without gaps, and knows the content check (consensus/wal_check.h) at every LSN of it.
// Not thread-safe, never suspends.

#pragma once

#include <deque>

#include "core/consensus/wal_check.h"

namespace argon::compute {

class WalBuffer {
 public:
  // Empty, at `start`, where the check is `check` (it may be unknown).
  WalBuffer(Lsn start, consensus::WalCheck check, uint64_t segment_size);

  Lsn begin() const { return begin_; }
  Lsn end() const { return end_; }
  size_t size() const { return end_ - begin_; }

  void append(ByteView wal);
  // Forgets what lies before `lsn`; may keep a little of it. REQUIRES: lsn <= end().
  void discard_before(Lsn lsn);
  // Copies [from, from + n). REQUIRES: begin() <= from, from + n <= end().
  Bytes read(Lsn from, size_t n) const;
  // REQUIRES: begin() <= at <= end().
  consensus::WalCheck check_at(Lsn at) const;

 private:
  struct Chunk {
    Lsn begin;
    consensus::WalCheck check;  // at begin
    Bytes bytes;
    Lsn end() const { return begin + bytes.size(); }
  };
  size_t find(Lsn at) const;

  Lsn begin_;
  Lsn end_;
  consensus::WalCheck end_check_;
  uint64_t segment_size_;
  std::deque<Chunk> chunks_;
};

}  // namespace argon::compute
