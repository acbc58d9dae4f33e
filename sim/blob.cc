#include "sim/blob.h"

#include <algorithm>

#include "core/base/check.h"

namespace argon::sim {

void Blob::append(ByteView more) {
  while (!more.empty()) {
    size_t at = size_ % sizeof(Block);
    size_t n = std::min(more.size(), sizeof(Block) - at);
    ByteView part = more.first(n);
    if (at == 0) blocks_.emplace_back();
    std::unique_ptr<Block>& block = blocks_.back();
    if (block == nullptr && !all_zeros(part)) block = std::make_unique<Block>();
    if (block != nullptr) std::memcpy(block->data() + at, part.data(), n);
    more = more.subspan(n);
    size_ += n;
  }
}

void Blob::append_zeros(uint64_t count) {
  // The rest of the last block is zeros already, kept or not.
  size_ += count;
  blocks_.resize((size_ + sizeof(Block) - 1) / sizeof(Block));
}

Bytes Blob::read(uint64_t offset, size_t length) const {
  CHECK(offset <= size_ && length <= size_ - offset);
  Bytes out(length);
  for (size_t done = 0; done < length;) {
    size_t at = (offset + done) % sizeof(Block);
    size_t n = std::min(length - done, sizeof(Block) - at);
    const std::unique_ptr<Block>& block = blocks_[(offset + done) / sizeof(Block)];
    if (block != nullptr) std::memcpy(out.data() + done, block->data() + at, n);
    done += n;
  }
  return out;
}

}  // namespace argon::sim
