// safekeeper.control: what a safekeeper knows of one timeline beside its WAL.
//
// Format, little endian: u32 magic "ASKC", u32 version, u32 body length, body, u32 CRC-32C of all
// before. Replaced as a whole (temporary file, sync, rename, sync of the directory). An unknown
// magic or version, a wrong checksum or a body that is not exactly as long as told is refused: a
// safekeeper never guesses about terms. Version 1 has no closed_at and no chain, version 2 no evicted; they
// are read as without.

#pragma once

#include <optional>
#include <vector>

#include "core/consensus/acceptor.h"
#include "core/env/env.h"
#include "core/safekeeper/wal_chain.h"

namespace argon::safekeeper {

// The beginning of the last segment, as kept in the object store.
struct PartialUpload {
  std::string key;  // empty: none
  Lsn flush;        // it holds WAL up to here
  Term term;        // last log term at that time

  friend bool operator==(const PartialUpload&, const PartialUpload&) = default;
};

// The WAL of the last segment, which is in the object store instead of here.
struct EvictedTail {
  std::string key;
  uint64_t size = 0;  // from the segment's start to where WAL ends
  uint32_t crc = 0;   // CRC-32C of all of it

  friend bool operator==(const EvictedTail&, const EvictedTail&) = default;
};

struct TimelineControl {
  TenantTimelineId id;
  consensus::AcceptorState acceptor;
  Lsn backup;                      // full segments below are in the object store
  Lsn remote_consistent;           // a pageserver has everything below in the object store
  PartialUpload partial;           // the one that is there
  PartialUpload partial_previous;  // written down before it is uploaded, or still to be deleted
  // WAL ends here, all of it synced, and none was written or cut since this file was: so the flush position
  // is known without a look at WAL. 0: only a look can tell.
  Lsn closed_at;
  WalChain chain;  // at starts of segments that are here, and where WAL begins; empty: not known
  // No segment counts here: all WAL, committed up to closed_at, is in the object store (eviction.cc).
  std::optional<EvictedTail> evicted;

  friend bool operator==(const TimelineControl&, const TimelineControl&) = default;
};

inline constexpr uint32_t kControlVersion = 3;
inline constexpr std::string_view kControlFileName = "safekeeper.control";

// Start of the segment that WAL up to `end` ends in: of the byte before. REQUIRES: end > 0.
Lsn last_segment_start(Lsn end);

Bytes encode_control(const TimelineControl& control);
// Corrupt or Unsupported, with what is wrong.
Result<TimelineControl> decode_control(ByteView file);

// In `directory`. NotFound where there is none.
Result<TimelineControl> read_control(Task& task, Disk& disk, const std::string& directory);
// Durable when ok. Any error leaves it open which of the two is there: stop using the timeline.
Status write_control(Task& task, Disk& disk, const std::string& directory, const TimelineControl& control);

}  // namespace argon::safekeeper
