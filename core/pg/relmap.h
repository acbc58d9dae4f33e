// pg_filenode.map: which file each mapped catalog (pg_class and its like) lies in.
//
// 512 bytes: magic, count, up to 62 pairs, CRC-32C. One per database, one for shared catalogs.
// Source: utils/cache/relmapper.c.

#pragma once

#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/constants.h"

namespace argon::pg {

inline constexpr size_t kRelMapSize = 512;

struct RelMap {
  struct Entry {
    Oid catalog = 0;
    Oid file = 0;
    friend constexpr auto operator<=>(const Entry&, const Entry&) = default;
  };
  std::vector<Entry> entries;  // in the file's order, at most 62

  // The file of a catalog, 0 if it is not mapped.
  Oid find(Oid catalog) const;
  friend bool operator==(const RelMap&, const RelMap&) = default;
};

// REQUIRES: at most 62 entries.
Bytes encode_relmap(const RelMap& map);
// Code::Corrupt: wrong size, magic, count or checksum.
Result<RelMap> decode_relmap(ByteView file);

}  // namespace argon::pg
