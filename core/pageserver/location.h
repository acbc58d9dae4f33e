// Location: what a pageserver does with a tenant.
//
// AttachedSingle serves it, and nobody else does. While a tenant moves, the pageserver it leaves is
// AttachedStale (serves what it has and what WAL adds to it, uploads and removes nothing), and the one it
// comes to is AttachedMulti (uploads, but removes nothing from the object store, since the former one reads
// from there). Secondary keeps a warm copy of the layers (secondary.h) and serves nothing. Detached has
// nothing.
//
// Who has a tenant attached is what its newest claim says, the object
// "tenants/TENANT/generation-GENERATION" (remote.h):
// {"pageserver": ID, "life": "16 hex digits", "mode": MODE, "asked": GENERATION}. A claim that gives a tenant
// up has mode Secondary or Detached. Where the mode is not what the newest claim says, it is in the file
// "location" in the tenant's folder on the pageserver's disk, with the generation that was the newest then:
//
//   magic "ARGLOCAT" · u32 version 1 · u32 CRC-32C of all else · u8 mode · u32 generation · u32 asked
//
// Integers are little-endian. At a start the file counts while its generation is the newest; after that the
// claim, if it is this pageserver's; and where somebody else has claimed the tenant, AttachedStale and
// Secondary go on, and what was attached is not any more.

#pragma once

#include <optional>
#include <string>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"

namespace argon::pageserver {

enum class LocationMode : uint8_t { Detached, Secondary, AttachedStale, AttachedMulti, AttachedSingle };

std::string_view to_string(LocationMode mode);
// Invalid names the modes there are.
Result<LocationMode> parse_location_mode(std::string_view text);
inline bool is_attached(LocationMode mode) {
  return mode >= LocationMode::AttachedStale;
}
inline bool may_upload(LocationMode mode) {
  return mode >= LocationMode::AttachedMulti;
}
inline bool may_delete(LocationMode mode) {
  return mode == LocationMode::AttachedSingle;
}

struct Location {
  LocationMode mode = LocationMode::Detached;
  Generation generation;  // it is attached with; else the newest that was claimed when the mode was set
  Generation asked;       // that the pageserver was told to attach with, if it was told one

  friend bool operator==(const Location&, const Location&) = default;
};

Bytes encode_location(const Location& location);
// Code::Corrupt, Code::Unsupported; `where` names the file in messages.
Result<Location> decode_location(ByteView bytes, std::string_view where);

struct Claim {
  NodeId pageserver;  // 0: one that did not say who it is
  uint64_t life = 0;  // of the pageserver, drawn
  LocationMode mode = LocationMode::AttachedSingle;
  Generation asked;

  friend bool operator==(const Claim&, const Claim&) = default;
};

std::string claim_text(const Claim& claim);
// What is no claim of this format is one of a pageserver that did not say who it is.
Claim parse_claim(std::string_view text);

}  // namespace argon::pageserver
