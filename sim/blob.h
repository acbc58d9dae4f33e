// Blob: bytes that are mostly zeros, as WAL segments are, kept without them.
//
// Grows at its end only; where a block of it is zeros, that is all that is kept.

#pragma once

#include <vector>

#include "core/base/bytes.h"

namespace argon::sim {

class Blob {
 public:
  uint64_t size() const { return size_; }
  void append(ByteView more);
  void append_zeros(uint64_t count);
  // It will not grow further: gives back the room for that.
  void shrink_to_fit();
  // REQUIRES: offset + length <= size().
  Bytes read(uint64_t offset, size_t length) const;
  Bytes bytes() const { return read(0, size_); }

 private:
  static constexpr size_t kBlock = 512;
  static constexpr uint32_t kZeros = UINT32_MAX;

  uint64_t size_ = 0;
  std::vector<uint32_t> blocks_;  // which of those kept; kZeros: none
  Bytes kept_;                    // blocks of kBlock bytes
};

}  // namespace argon::sim
