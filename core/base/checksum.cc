#include "core/base/checksum.h"

#include <isa-l/crc.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h>  // the widest registers that the processor has
#else
#include <xxhash.h>
#endif

#include <cstdio>

namespace argon {

namespace {

#ifdef __x86_64__
// WAL records are short: below this the wide registers of isa-l cost more than they give.
constexpr size_t kShort = 1024;

// The processor's own instruction, which every x86-64 since 2008 has.
[[gnu::target("sse4.2")]] uint32_t crc_short(uint32_t state, ByteView b) {
  uint64_t crc = state;
  const uint8_t* at = b.data();
  size_t left = b.size();
  for (; left >= 8; left -= 8, at += 8) crc = __builtin_ia32_crc32di(crc, load_le<uint64_t>(at));
  auto low = static_cast<uint32_t>(crc);
  if (left & 4) {
    low = __builtin_ia32_crc32si(low, load_le<uint32_t>(at));
    at += 4;
  }
  if (left & 2) {
    low = __builtin_ia32_crc32hi(low, load_le<uint16_t>(at));
    at += 2;
  }
  return left & 1 ? __builtin_ia32_crc32qi(low, *at) : low;
}

// isa-l leaves the upper halves of the vector registers in use. While they are, each change between code that
// knows of them (the C library's memcpy) and code that does not (ours) costs some 45 ns.
[[gnu::target("avx")]] void end_wide_registers() {
  __builtin_ia32_vzeroupper();
}
const bool kHasWideRegisters = __builtin_cpu_supports("avx");
#endif

}  // namespace

uint32_t crc32c_extend(uint32_t crc, ByteView b) {
  uint32_t state = ~crc;
#ifdef __x86_64__
  if (b.size() < kShort) return ~crc_short(state, b);
#endif
  // isa-l takes an int length and a pointer to non-const bytes, which it only reads.
  constexpr size_t kChunk = 1u << 30;
  while (!b.empty()) {
    size_t n = b.size() < kChunk ? b.size() : kChunk;
    state = crc32_iscsi(const_cast<uint8_t*>(b.data()), static_cast<int>(n), state);
    b = b.subspan(n);
  }
#ifdef __x86_64__
  if (kHasWideRegisters) end_wide_registers();
#endif
  return ~state;
}

uint32_t crc32c(ByteView bytes) {
  return crc32c_extend(0, bytes);
}

Hash128 hash128(ByteView bytes) {
  XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return {h.high64, h.low64};
}

uint64_t hash64(ByteView bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string to_string(const Hash128& hash) {
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high),
                static_cast<unsigned long long>(hash.low));
  return text;
}

}  // namespace argon
