// Buffered reading and gathered writing over a Stream.
//
// A BufferedReader is used by one task at a time, and so is a BufferedWriter; one of each may work
// on the same Stream at once. Both borrow the stream, which outlives them.

#pragma once

#include "core/env/network.h"

namespace argon::wire {

class BufferedReader {
 public:
  // `limit`: the most that one peek() may ask for. Memory used grows to what was asked for.
  explicit BufferedReader(Stream& stream, size_t limit = (1u << 20) + 4096)
      : stream_(stream), limit_(limit) {}

  // Suspends until n bytes are there, and shows them; they are valid until the next call that
  // suspends. Disconnected where the stream ends before; Unsupported where n is beyond the limit.
  Result<ByteView> peek(Task& task, size_t n);
  // Suspends until anything is there; empty at the end of the stream.
  Result<ByteView> peek_some(Task& task);
  // Forgets n bytes. REQUIRES: n <= buffered().size(). Views stay valid.
  void consume(size_t n);
  // What has arrived and was not consumed. Never suspends.
  ByteView buffered() const { return ByteView(buffer_).subspan(begin_, end_ - begin_); }
  Stream& stream() { return stream_; }

 private:
  Result<size_t> fill(Task& task, size_t wanted);

  Stream& stream_;
  size_t limit_;
  Bytes buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t read_ahead_ = 4 * 1024;  // what a fill makes room for, at least
};

// Collects bytes and sends them by flush(). The caller bounds what it collects: see pending().
class BufferedWriter {
 public:
  explicit BufferedWriter(Stream& stream) : stream_(stream) {}

  // To append to; nothing is sent before flush().
  Bytes& buffer() { return buffer_; }
  size_t pending() const { return buffer_.size(); }
  // Sends everything. After an error the connection is of no use any more.
  Status flush(Task& task);
  Stream& stream() { return stream_; }

 private:
  Stream& stream_;
  Bytes buffer_;
};

}  // namespace argon::wire
