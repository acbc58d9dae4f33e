// Proof that WAL read from disk is the WAL that was written: it is decoded again, each record's checksum
// included.
//
// Everything was decoded before it was flushed, so what does not decode now was changed on the disk. Whoever
// gives WAL away (readers, the object store) reads through this, so that damage ends here, with its place,
// and is not passed on; the other safekeepers have the same WAL.
//
// A record is proved when its last byte was read: a reader may have got the first bytes of a damaged record,
// but never all of one. Nothing is known of bytes before the node's first LSN.

#pragma once

#include <functional>
#include <optional>

#include "core/env/task.h"
#include "core/pg/wal_stream.h"

namespace argon::safekeeper {

class WalProof {
 public:
  // Fills what it can, at least a byte, from one segment: Timeline::read_wal.
  using Read = std::function<Result<size_t>(Task&, Lsn at, ByteSpan into)>;

  // For reading from `start` on. `local_start`: the first WAL of the timeline on this node.
  WalProof(Lsn start, Lsn local_start);
  // What lies before `start` on its page, which the decoder needs. Call it once, first. Suspends.
  Status prepare(Task& task, const Read& read);
  // The next bytes. Corrupt names the place, and what is wrong. REQUIRES: at is where the bytes before ended.
  Status add(Lsn at, ByteView wal);
  // A record has begun and not ended.
  bool inside_record() const { return decoder_ && decoder_->inside_record(); }

 private:
  Lsn start_;
  Lsn from_;
  std::optional<pg::WalStreamDecoder> decoder_;
};

}  // namespace argon::safekeeper
