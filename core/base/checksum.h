// CRC-32C (Castagnoli; PostgreSQL's WAL and control file) and the 128-bit hash of event logs.

#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "core/base/bytes.h"

namespace argon {

// The finished CRC-32C of `bytes`: crc32c("123456789") == 0xE3069283.
uint32_t crc32c(ByteView bytes);
// The CRC of a followed by b, where crc == crc32c(a).
uint32_t crc32c_extend(uint32_t crc, ByteView b);

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;

  friend constexpr auto operator<=>(const Hash128&, const Hash128&) = default;
};

// XXH3-128. The same bytes give the same hash on every machine and in every build.
Hash128 hash128(ByteView bytes);
uint64_t hash64(ByteView bytes);
// 32 lower-case hex digits.
std::string to_string(const Hash128& hash);

}  // namespace argon
