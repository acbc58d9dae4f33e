// Blob: bytes that are mostly zeros, as WAL segments are, kept without them.
//
// Grows at its end only; where a block of it is zeros, nothing of it is kept. Each block is an allocation of
// its own: a run keeps hundreds of objects of all sizes, and large ones that grow would leave holes among
// each other that take as much memory again.

#pragma once

#include <array>
#include <memory>
#include <vector>

#include "core/base/bytes.h"

namespace argon::sim {

class Blob {
 public:
  uint64_t size() const { return size_; }
  void append(ByteView more);
  void append_zeros(uint64_t count);
  // REQUIRES: offset + length <= size().
  Bytes read(uint64_t offset, size_t length) const;
  Bytes bytes() const { return read(0, size_); }

 private:
  using Block = std::array<uint8_t, 512>;

  uint64_t size_ = 0;
  std::vector<std::unique_ptr<Block>> blocks_;  // null: zeros
};

}  // namespace argon::sim
