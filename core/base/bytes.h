// Bytes, views of them, and unaligned loads and stores in a stated byte order.

#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace argon {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;  // borrowed, not owned
using ByteSpan = std::span<uint8_t>;        // borrowed, writable

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView view) {
  return Bytes(view.begin(), view.end());
}
inline Bytes to_bytes(std::string_view text) {
  return to_bytes(as_bytes(text));
}
inline void append(Bytes& to, ByteView more) {
  to.insert(to.end(), more.begin(), more.end());
}
// As quick as comparing gets.
inline bool all_zeros(ByteView bytes) {
  // Bytes that all equal their successor equal the first one.
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads and stores assume a little-endian host");

template <typename Integer>
constexpr Integer byte_swap(Integer value) {
  static_assert(std::is_integral_v<Integer>);
  if constexpr (sizeof(Integer) == 1) return value;
  if constexpr (sizeof(Integer) == 2)
    return static_cast<Integer>(__builtin_bswap16(static_cast<uint16_t>(value)));
  if constexpr (sizeof(Integer) == 4)
    return static_cast<Integer>(__builtin_bswap32(static_cast<uint32_t>(value)));
  if constexpr (sizeof(Integer) == 8)
    return static_cast<Integer>(__builtin_bswap64(static_cast<uint64_t>(value)));
}

// REQUIRES: sizeof(Integer) readable (writable) bytes at `at`; no alignment.
template <typename Integer>
Integer load_le(const void* at) {
  Integer value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <typename Integer>
Integer load_be(const void* at) {
  return byte_swap(load_le<Integer>(at));
}
template <typename Integer>
void store_le(void* at, Integer value) {
  std::memcpy(at, &value, sizeof value);
}
template <typename Integer>
void store_be(void* at, Integer value) {
  store_le(at, byte_swap(value));
}

}  // namespace argon
