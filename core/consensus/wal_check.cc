#include "core/consensus/wal_check.h"

#include <algorithm>

#include "core/base/checksum.h"

namespace argon::consensus {

WalCheck first_check(Lsn at) {
  return {at, 0};
}

WalCheck extend_check(WalCheck check, Lsn at, ByteView bytes, uint64_t segment_size) {
  while (!bytes.empty()) {
    uint64_t offset = at.value % segment_size;
    if (offset == 0) check = {at, 0};
    size_t piece = std::min<uint64_t>(bytes.size(), segment_size - offset);
    if (check.known()) check.crc = crc32c_extend(check.crc, bytes.first(piece));
    bytes = bytes.subspan(piece);
    at += piece;
  }
  return check;
}

}  // namespace argon::consensus
