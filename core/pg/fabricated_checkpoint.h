// A shutdown checkpoint record made for a wanted LSN, from which a stock server starts there with no
// WAL before it: without recovery, and with its WAL going on right behind the record.
//
// The record is a true part of the WAL from then on, and is what the compute sends first. Its bytes
// are a pure function of the arguments: no clock, no randomness, so two computes that start at the
// same place make the same bytes. It has the same length each time (114 bytes), so a record of a
// former proposer behind it would decode as a true successor: what lies beyond must have been zeroed.
//
// Where S is a page boundary the stream begins with that page's header. The record may straddle a
// page or a segment boundary; then two segments are made.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/pg/checkpoint.h"
#include "core/pg/control_file.h"
#include "core/pg/wal_page.h"

namespace argon::pg {

// A WAL segment that is nearly all zeros: only its 512-byte blocks that are not.
struct SegmentFile {
  static constexpr size_t kBlock = 512;

  std::string name;                  // "000000010000000000000001"
  std::map<uint32_t, Bytes> blocks;  // by number

  void put(uint64_t offset, ByteView bytes);
  Bytes bytes() const;  // all 16 MiB
};

struct FabricatedCheckpoint {
  Lsn stream_begin;       // S: where the WAL stream of the compute begins
  Lsn record;             // start of the record; behind the page header if S is a page boundary
  Lsn end;                // where the server writes its first own record, or that page's header
  Checkpoint checkpoint;  // as the record has it
  Bytes wal;              // the bytes from stream_begin to end

  // The segments a data directory needs in pg_wal, zeros elsewhere: one, or two if the record
  // straddles their boundary. The first page of each, and S's own page, have their headers.
  // `as_continued`: the page says that up to the record it has the rest of one that began before, so that who
  // reads from the page's start, as pg_waldump does, passes over what is not there.
  std::vector<SegmentFile> segments(const WalIdentity& identity, bool as_continued = false) const;
};

// The aligned end of a shutdown or online checkpoint record: where the WAL of a cluster goes on that was
// shut down cleanly. REQUIRES: is_record_position(record).
Lsn checkpoint_record_end(Lsn record);

// S: the end of the last record before, aligned; a page boundary included. `previous`: that record's
// start, 0 at the beginning of a branch. Code::Invalid if no record can start at S, or previous is
// not before it.
Result<FabricatedCheckpoint> fabricate_checkpoint(const WalIdentity& identity, const Checkpoint& tracked,
                                                  Lsn s, Lsn previous);

// pg_control for that start: `base` with the checkpoint, cleanly shut down, no recovery in progress.
ControlFile control_at(const ControlFile& base, const FabricatedCheckpoint& start,
                       const ControlSettings& settings);
// pg_control of a standby that begins at the redo point of the WAL's own checkpoint record at `record`, from
// a backup that is right as of that redo point: consistent at once.
ControlFile control_of_standby(const ControlFile& base, const Checkpoint& tracked, Lsn record, Lsn redo,
                               const ControlSettings& settings);

}  // namespace argon::pg
