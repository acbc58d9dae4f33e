#include "core/wire/buffered.h"

#include <algorithm>

#include "core/env/io.h"

namespace argon::wire {

namespace {
// A buffer grows while reads fill it: most connections carry little.
constexpr size_t kReadAheadMax = 64 * 1024;
}  // namespace

Result<size_t> BufferedReader::fill(Task& task, size_t wanted) {
  if (begin_ == end_) begin_ = end_ = 0;
  size_t room = std::max(wanted, read_ahead_);
  if (buffer_.size() - begin_ < wanted || end_ == buffer_.size()) {
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
    if (buffer_.size() < room) buffer_.resize(room);
  }
  TRY_ASSIGN(size_t n, stream_.read(task, ByteSpan(buffer_).subspan(end_)));
  end_ += n;
  if (end_ == buffer_.size()) read_ahead_ = std::min(read_ahead_ * 2, kReadAheadMax);
  return n;
}

Result<ByteView> BufferedReader::peek(Task& task, size_t n) {
  if (n > limit_)
    return Error(Code::Unsupported, "a message of " + std::to_string(n) + " bytes, more than the " +
                                        std::to_string(limit_) + " allowed, from " + stream_.peer());
  while (end_ - begin_ < n) {
    TRY_ASSIGN(size_t got, fill(task, n));
    if (got == 0) return Error(Code::Disconnected, "the peer closed the connection (" + stream_.peer() + ")");
  }
  return buffered().first(n);
}

Result<ByteView> BufferedReader::peek_some(Task& task) {
  if (begin_ == end_) TRY(fill(task, 1));
  return buffered();
}

void BufferedReader::consume(size_t n) {
  CHECK(n <= end_ - begin_);
  begin_ += n;
}

Status BufferedWriter::flush(Task& task) {
  if (buffer_.empty()) return {};
  // Cleared also after an error: what was sent of it is unknown.
  struct Clear {
    ~Clear() { bytes.clear(); }
    Bytes& bytes;
  } clear{buffer_};
  return write_all(task, stream_, buffer_);
}

}  // namespace argon::wire
