// TimelineIndex: which layers a timeline consists of, and how far they reach.
//
// The file "index" in the timeline's folder, and the objects "index-GENERATION-SEQUENCE" in the
// object store, hold the same bytes. (generation, sequence) orders all indexes of a timeline: the
// greatest is the truth. Integers are little-endian, keys as in key.h:
//
//   magic "ARGINDEX" · u32 version 3 · u32 CRC-32C of all that follows ·
//   tenant 16 · timeline 16 · u32 generation · u64 sequence · u32 server version (major) ·
//   u8 has ancestor · ancestor 16 · u64 ancestor LSN · u64 start LSN · u64 disk-consistent LSN ·
//   u64 start of the record before it · u64 GC cutoff LSN · u64 system id ·
//   u32 LSNs retained below the cutoff · each u64 (version 1 has none of these two) ·
//   u64 when it was archived, in ns since 1970, 0: it is not (from version 3 on) · u32 layers, each:
//   u8 kind · first key 18 · end key 18 · u64 first LSN · u64 end LSN · u64 file id · u32 generation ·
//   u64 size in bytes

#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "core/pageserver/layer_format.h"

namespace argon::pageserver {

struct TimelineIndex {
  struct Layer {
    LayerName name;
    uint64_t size = 0;
    friend auto operator<=>(const Layer&, const Layer&) = default;
  };

  TenantTimelineId id;
  Generation generation;
  uint64_t sequence = 0;
  uint32_t server_version = 15;
  std::optional<TimelineId> ancestor;
  Lsn ancestor_lsn;     // the branch point; stays where it was detached. 0: never was a branch
  Lsn start_lsn;        // first LSN that can be read: the import's end, or the branch point
  Lsn disk_consistent;  // all changes up to here are in the layers
  Lsn prev_record;      // start of the record that ends at disk_consistent; 0 if unknown
  Lsn gc_cutoff;        // below it history may be gone, but at the LSNs that were retained
  uint64_t system_id = 0;
  std::vector<Lsn> retained;  // below gc_cutoff, can be read all the same; ascending
  // The timeline is kept, but not served (Tenants::archive). Of an index in the object store only.
  std::optional<WallTime> archived_at;
  std::vector<Layer> layers;  // sorted by name

  // Where WAL of its own begins.
  Lsn wal_begin() const { return std::max(start_lsn, ancestor_lsn); }

  friend bool operator==(const TimelineIndex&, const TimelineIndex&) = default;
};

Bytes encode_index(const TimelineIndex& index);
// Code::Corrupt, Code::Unsupported; `where` names the file or object in messages.
Result<TimelineIndex> decode_index(ByteView bytes, std::string_view where);

}  // namespace argon::pageserver
