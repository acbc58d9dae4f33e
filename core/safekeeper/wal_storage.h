// The WAL of one timeline on a safekeeper's disk: PostgreSQL's segment files.
//
// Layout: <directory>/0000000100000000000000NN, each 16 MiB from the moment it is made (zeros where
// nothing was written yet); what is complete follows from the flush position, so there is no rename
// when a segment is full. Before the timeline's first LSN the first segment is a hole with the headers
// of its first page and of that LSN's, where tools look for them. "spare" is the next segment, made ahead.
//
// Invariants:
//  1. Nothing but zeros lies at or beyond the end of what was written; no later segment exists.
//     So the end of valid WAL, found by decoding at start, is never beyond what one proposer wrote.
//  2. What is written has been decoded: record_end() is the end of the last whole, checked record.
//     Where the state names a system identifier, WAL of another system is refused.
//  3. A file's name is durable before a flush that covers bytes in it returns.
//
// One caller at a time for write(), truncate() and initialise(); flush() may overlap with write(),
// and read() with anything. After an error from any but read(), the object must be dropped:
// the disk's state is then unknown, and may only be found out by open(). Until it is, who waited for a
// flush or cut that failed fails as well: what it would have synced is not dirty any more, nor durable.
// But after a write() that ended with NoSpace it may be cut: what is not known lies beyond written().

#pragma once

#include <map>
#include <memory>

#include "core/consensus/acceptor.h"
#include "core/env/env.h"
#include "core/fiber/sync.h"
#include "core/pg/wal_stream.h"
#include "core/safekeeper/spare_segment.h"

namespace argon::safekeeper {

struct Flushed {
  Lsn durable;
  Lsn record_end;
  uint64_t epoch = 0;  // of WalStorage::epoch() when it began
};

class WalStorage {
 public:
  // Finds the end of valid WAL, removes whatever is beyond, and makes everything that is kept durable, also
  // where a former process saw a sync fail. Where `closed_at` says where WAL ends, flushed and with nothing
  // beyond, it only reads. Where state has no WAL, removes stray segments. Errors: Corrupt where WAL that
  // state says is committed is not there, or does not end at `closed_at`; Io. `spare` outlives it; without
  // one segments are made as they are needed.
  static Result<std::unique_ptr<WalStorage>> open(Task& task, Disk& disk, std::string directory,
                                                  const consensus::AcceptorState& state, Lsn closed_at,
                                                  const Logger& log, SpareSegment* spare);

  consensus::WalEnd end() const { return end_at_open_; }
  // Why the scan at open ended where it did.
  const std::string& end_reason() const { return end_reason_; }

  // The first WAL of the timeline on this node begins at `start`. REQUIRES: there is none.
  Status initialise(Task& task, Lsn start, uint64_t system_id);
  // WAL that is written from now on must be of this system; 0: of any.
  void expect_system(uint64_t system_id);
  // REQUIRES: at == written(). Corrupt where the bytes are not WAL, or not of this system (which the first
  // page of each segment tells).
  Status write(Task& task, Lsn at, ByteView wal);
  // Makes everything written so far durable. One at a time; further calls wait.
  Result<Flushed> flush(Task& task);
  // Nothing is left at or beyond `to`, durably. REQUIRES: local start <= to <= written(), end of a record.
  Result<consensus::WalCheck> truncate(Task& task, Lsn to);
  // Whether the segment that is written is half full, in many flushes, and there is no spare one yet.
  bool spare_is_due() const;
  // Reads up to into.size() bytes from one segment. NotFound where the segment is not here (any more).
  Result<size_t> read(Task& task, Lsn at, ByteSpan into);
  // Removes segments that lie whole below `horizon`; returns how many.
  Result<size_t> remove_below(Task& task, Lsn horizon);

  Lsn written() const { return written_; }
  Lsn record_end() const { return record_end_; }
  // Grows whenever WAL is cut: a flush that began in an earlier epoch proves nothing.
  uint64_t epoch() const { return epoch_; }
  // First LSN that is certainly still here.
  Lsn oldest() const { return oldest_; }
  // Calls to fdatasync since open, for metrics.
  uint64_t syncs() const { return syncs_; }

 private:
  struct Segment {
    std::shared_ptr<File> file;
    bool dirty = false;
    bool name_dirty = false;
  };

  WalStorage(Disk& disk, std::string directory, Logger log, SpareSegment* spare)
      : disk_(disk), directory_(std::move(directory)), log_(std::move(log)), spare_(spare) {}

  std::string path(uint64_t segment) const;
  Result<std::vector<uint64_t>> list(Task& task) const;
  Result<Segment*> open_segment(Task& task, uint64_t number, bool create);
  Status recover(Task& task, const consensus::AcceptorState& state, Lsn closed_at);
  // The end of valid WAL, decoded from a little before `commit`; lower than that where it is damaged. With
  // `again` what comes after `commit` is written once more.
  Result<Lsn> scan(Task& task, Lsn commit, bool again);
  Status write_again(Task& task, Lsn at, ByteView wal, Lsn from);
  // Zeros from `end` on, later segments unlinked, all segments from `first` on synced.
  Status clear_beyond(Task& task, Lsn end, uint64_t first);
  Result<consensus::WalCheck> check_at(Task& task, Lsn lsn);
  Status decode(ByteView wal);
  void restart_decoder(Lsn at);

  Disk& disk_;
  std::string directory_;
  Logger log_;
  uint64_t system_id_ = 0;
  Lsn local_start_;
  Lsn written_;
  Lsn oldest_;
  uint64_t epoch_ = 0;
  uint64_t syncs_ = 0;
  consensus::WalEnd end_at_open_;
  std::string end_reason_;
  std::optional<pg::WalStreamDecoder> decoder_;
  SpareSegment* spare_;
  uint64_t flushed_segment_ = 0;
  uint64_t flushes_in_it_ = 0;
  Lsn record_end_;                    // never beyond written_, as the decoder's last_end() may be
  std::map<uint64_t, Segment> open_;  // segments with unsynced bytes, and the last one
  Mutex sync_;
  Status sync_failure_;
};

}  // namespace argon::safekeeper
