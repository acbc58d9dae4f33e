#include "sim/blob.h"

#include <algorithm>

#include "core/base/check.h"

namespace argon::sim {

void Blob::append(ByteView more) {
  while (!more.empty()) {
    size_t at = size_ % kBlock;
    size_t n = std::min(more.size(), kBlock - at);
    ByteView part = more.first(n);
    if (at == 0) blocks_.push_back(kZeros);
    if (blocks_.back() != kZeros) {
      std::memcpy(kept_.data() + blocks_.back() * kBlock + at, part.data(), n);
    } else if (!all_zeros(part)) {
      blocks_.back() = static_cast<uint32_t>(kept_.size() / kBlock);
      kept_.resize(kept_.size() + at);
      argon::append(kept_, part);
      kept_.resize(kept_.size() + kBlock - at - n);
    }
    more = more.subspan(n);
    size_ += n;
  }
}

void Blob::append_zeros(uint64_t count) {
  // The rest of the last block is zeros already, kept or not.
  size_ += count;
  blocks_.resize((size_ + kBlock - 1) / kBlock, kZeros);
}

void Blob::shrink_to_fit() {
  blocks_.shrink_to_fit();
  kept_.shrink_to_fit();
}

Bytes Blob::read(uint64_t offset, size_t length) const {
  CHECK(offset <= size_ && length <= size_ - offset);
  Bytes out(length);
  for (size_t done = 0; done < length;) {
    size_t at = (offset + done) % kBlock;
    size_t n = std::min(length - done, kBlock - at);
    uint32_t block = blocks_[(offset + done) / kBlock];
    if (block != kZeros) std::memcpy(out.data() + done, kept_.data() + block * kBlock + at, n);
    done += n;
  }
  return out;
}

}  // namespace argon::sim
