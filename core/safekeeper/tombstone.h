// What a safekeeper keeps of a timeline, or of a whole tenant, that was deleted: the file "deleted" in its
// folder, and nothing beside it. While it is there, nobody can make the timeline here again: not a proposer
// that has not heard of it, not a pull, not a request, whatever configuration they come with. It stays for
// ever, since ids are not used again.
//
// Format, little endian: u32 magic "ASKT", u32 version, tenant 16, u8 has timeline, timeline 16, u32 CRC-32C
// of all before. It is durable before anything else of the timeline goes. (A safekeeper that is only no
// member any more leaves another tombstone: timelines.h.)

#pragma once

#include <compare>
#include <optional>

#include "core/base/ids.h"
#include "core/env/env.h"

namespace argon::safekeeper {

// What was deleted.
struct Tombstone {
  TenantId tenant;
  std::optional<TimelineId> timeline;  // none: the tenant with all its timelines

  bool covers(const TenantTimelineId& id) const {
    return id.tenant == tenant && (!timeline || *timeline == id.timeline);
  }
  friend auto operator<=>(const Tombstone&, const Tombstone&) = default;
};
std::string to_string(const Tombstone& tombstone);  // "timeline TENANT/TIMELINE", "tenant TENANT"

inline constexpr uint32_t kTombstoneVersion = 1;
inline constexpr std::string_view kTombstoneName = "deleted";

Bytes encode_tombstone(const Tombstone& tombstone);
// Corrupt or Unsupported, with what is wrong.
Result<Tombstone> decode_tombstone(ByteView file);

// In `directory`. NotFound where there is none.
Result<Tombstone> read_tombstone(Task& task, Disk& disk, const std::string& directory);
// Durable when ok; after an error it may be there or not.
Status write_tombstone(Task& task, Disk& disk, const std::string& directory, const Tombstone& tombstone);

}  // namespace argon::safekeeper
