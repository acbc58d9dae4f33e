// An index tuple's header: access/itup.h of PostgreSQL 15. Internal to core/pg/redo.

#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/pg/redo/heap_tuple.h"

namespace argon::pg::redo {

inline constexpr size_t kIndexTupleHeaderBytes = 8;
inline constexpr size_t kItemPointerBytes = 6;
inline constexpr uint16_t kIndexSizeMask = 0x1FFF;

// REQUIRES (all): kIndexTupleHeaderBytes at `tuple`.
inline uint16_t index_tuple_info(const uint8_t* tuple) {
  return load_le<uint16_t>(tuple + 6);
}
inline uint16_t index_tuple_size(const uint8_t* tuple) {
  return index_tuple_info(tuple) & kIndexSizeMask;
}

// The index tuple at the head of `bytes`: as many bytes as it says it has, rounded up to 8, where
// they are all there; else an empty view.
inline ByteView leading_index_tuple(ByteView bytes) {
  if (bytes.size() < kIndexTupleHeaderBytes) return {};
  size_t size = align8(index_tuple_size(bytes.data()));
  if (size < kIndexTupleHeaderBytes || size > bytes.size()) return {};
  return bytes.first(size);
}

}  // namespace argon::pg::redo
