// A checksum of the WAL's content before an LSN, so that nodes compare bytes and not only positions.
//
// check(lsn) is the CRC-32C of [from, lsn), where `from` is the start of the segment that holds
// the byte before lsn, or the first byte the node has of it. It can be had from one segment file,
// at any LSN, and is carried along while WAL is appended. Two checks can be compared only if
// their `from` is the same. from == 0 is "not known".

#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/ids.h"

namespace argon::consensus {

struct WalCheck {
  Lsn from;
  uint32_t crc = 0;

  bool known() const { return from.valid(); }
  // Both known, of the same range, and different.
  bool contradicts(const WalCheck& other) const {
    return known() && other.known() && from == other.from && crc != other.crc;
  }
  friend bool operator==(const WalCheck&, const WalCheck&) = default;
};

// The check at `at` for a node whose WAL begins there.
WalCheck first_check(Lsn at);
// The check at at + bytes.size(), given the one at `at`. Not known stays so until the next segment.
WalCheck extend_check(WalCheck check, Lsn at, ByteView bytes, uint64_t segment_size);

}  // namespace argon::consensus
