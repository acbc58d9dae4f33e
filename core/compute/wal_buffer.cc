#include "core/compute/wal_buffer.h"

#include <algorithm>

#include "core/base/check.h"

namespace argon::compute {
namespace {

// Small enough that a check inside a chunk is cheap to compute, large enough that chunks are few.
constexpr size_t kChunkSize = 8 * 1024;

}  // namespace

WalBuffer::WalBuffer(Lsn start, consensus::WalCheck check, uint64_t segment_size)
    : begin_(start), end_(start), end_check_(check), segment_size_(segment_size) {}

void WalBuffer::append(ByteView wal) {
  while (!wal.empty()) {
    if (chunks_.empty() || chunks_.back().bytes.size() >= kChunkSize)
      chunks_.push_back({end_, end_check_, {}});
    Bytes& bytes = chunks_.back().bytes;
    size_t n = std::min(wal.size(), kChunkSize - bytes.size());
    argon::append(bytes, wal.first(n));
    end_check_ = consensus::extend_check(end_check_, end_, wal.first(n), segment_size_);
    end_ += n;
    wal = wal.subspan(n);
  }
}

void WalBuffer::discard_before(Lsn lsn) {
  CHECK(lsn <= end_);
  while (!chunks_.empty() && chunks_.front().end() <= lsn) {
    begin_ = chunks_.front().end();
    chunks_.pop_front();
  }
}

size_t WalBuffer::find(Lsn at) const {
  auto after = std::upper_bound(chunks_.begin(), chunks_.end(), at,
                                [](Lsn lsn, const Chunk& chunk) { return lsn < chunk.begin; });
  CHECK(after != chunks_.begin());
  return static_cast<size_t>(after - chunks_.begin()) - 1;
}

Bytes WalBuffer::read(Lsn from, size_t n) const {
  CHECK(begin_ <= from && from + n <= end_);
  Bytes out;
  out.reserve(n);
  if (n == 0) return out;
  for (size_t i = find(from); out.size() < n; i++) {
    const Chunk& chunk = chunks_[i];
    size_t skip = (from + out.size()) - chunk.begin;
    size_t take = std::min(n - out.size(), chunk.bytes.size() - skip);
    argon::append(out, ByteView(chunk.bytes).subspan(skip, take));
  }
  return out;
}

consensus::WalCheck WalBuffer::check_at(Lsn at) const {
  CHECK(begin_ <= at && at <= end_);
  if (at == end_) return end_check_;
  const Chunk& chunk = chunks_[find(at)];
  return consensus::extend_check(chunk.check, chunk.begin, ByteView(chunk.bytes).first(at - chunk.begin),
                                 segment_size_);
}

}  // namespace argon::compute
