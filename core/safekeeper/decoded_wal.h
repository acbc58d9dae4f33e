// A timeline's committed WAL as interpreted records (core/pg/interpret), decoded once for all who read it.
//
// A *window* is a decoder and the newest batches it made, bounded in bytes. A reader whose position lies in a
// window takes its batches from there; at the window's end whoever comes first decodes the next batch, and
// the others wait for it. A reader whose position lies in no window (it is far behind, or the batches it
// needs have gone while it was slow) gets a window of its own, which ends when it has caught up with another
// one. There is no fiber, and nothing is decoded that nobody asks for. A window lives while a reader holds
// it: readers that wait for WAL to come let go of it.
//
// Decoding is also the proof that WAL is what was written (wal_proof.h): what does not decode is nobody's.

#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/env/task.h"
#include "core/fiber/sync.h"
#include "core/pg/interpret/batch.h"
#include "core/pg/wal_stream.h"

namespace argon::safekeeper {

struct DecodeOptions {
  size_t window_bytes = 4u << 20;
  size_t batch_bytes = 256u << 10;  // a batch ends with the record that makes it so long, or before
};

// The WAL to decode, as it is now.
struct CommittedWal {
  // Fills what it can, at least a byte, from one segment: Timeline::read_wal.
  std::function<Result<size_t>(Task&, Lsn at, ByteSpan into)> read;
  Lsn limit;        // end of what is committed
  Lsn local_start;  // first WAL of the timeline on this node
  pg::WalIdentity identity;
};

class DecodedWal {
 public:
  struct Batch {
    Lsn start;
    Lsn end;
    Bytes body;  // core/pg/interpret/batch.h
  };
  using BatchPtr = std::shared_ptr<const Batch>;
  class Window;
  // A reader's place. Copies are readers of their own.
  struct Cursor {
    Lsn at;
    std::shared_ptr<Window> window;
  };

  explicit DecodedWal(const DecodeOptions& options) : options_(options) {}

  // The batch in which what follows cursor.at lies, which may begin before; null: no record ends below the
  // limit. The caller puts cursor.at to its end. Suspends. Errors: Corrupt (the WAL), Invalid (cursor.at is
  // inside a record), Unsupported (a record is too long for a message), read's.
  Result<BatchPtr> next(Task& task, Cursor& cursor, const CommittedWal& wal);

  size_t windows() const;
  uint64_t bytes_decoded() const { return bytes_decoded_; }
  uint64_t batches_decoded() const { return batches_decoded_; }
  uint64_t windows_made() const { return windows_made_; }

 private:
  void attach(Env& env, Cursor& cursor);

  const DecodeOptions& options_;
  std::vector<std::weak_ptr<Window>> windows_;
  uint64_t bytes_decoded_ = 0;
  uint64_t batches_decoded_ = 0;
  uint64_t windows_made_ = 0;
};

}  // namespace argon::safekeeper
