// Frames between Argon's daemons (proposer and safekeeper, broker).
//
// After connecting, the client sends the 8 bytes of kHello (magic and version). Then both sides send
// frames: u32 BE payload length (at most kFramePayloadMax), u32 BE CRC-32C of (type, payload), u8
// type, payload. What types mean is the business of the protocol on top.
//
// A frame whose checksum or length is wrong ends the connection (Corrupt): there is no way to find
// the next one. One task may read while another writes.

#pragma once

#include <array>
#include <string_view>

#include "core/wire/buffered.h"

namespace argon::wire {

inline constexpr std::array<uint8_t, 8> kHello = {'A', 'R', 'G', 'O', 'N', 0, 0, 1};
inline constexpr size_t kFramePayloadMax = 1u << 20;
inline constexpr size_t kFrameHeader = 9;

struct Frame {
  uint8_t type = 0;
  ByteView payload;  // borrowed: see FrameReader::read
};

// Appends one frame whose payload is head followed by body. REQUIRES: together at most
// kFramePayloadMax bytes.
void encode_frame(Bytes& out, uint8_t type, ByteView head, ByteView body = {});
// Takes one frame off the front of `in`. Corrupt where it is broken; Unavailable where it is not
// complete yet. `used` is what it took.
Result<Frame> decode_frame(ByteView in, size_t& used);

// Whether a connection begins with kHello (needs 8 bytes; PostgreSQL's startup packets are never
// shorter, so a port that takes both protocols waits for 8). Nothing is consumed.
Result<bool> peek_hello(Task& task, BufferedReader& in);
// Consumes kHello. Unsupported for another version, Corrupt for anything else.
Status expect_hello(Task& task, BufferedReader& in);

class FrameReader {
 public:
  explicit FrameReader(BufferedReader& in) : in_(in) {}
  // The next frame, valid until the next call on this reader. Errors: Corrupt, the stream's
  // (Disconnected also where the peer ended the stream between frames).
  Result<Frame> read(Task& task);
  // True where a whole header is buffered already, so that read() probably does not wait long.
  bool more_buffered() const { return in_.buffered().size() - pending_ >= kFrameHeader; }

 private:
  BufferedReader& in_;
  size_t pending_ = 0;  // bytes of the frame handed out last, consumed by the next read()
};

class FrameWriter {
 public:
  explicit FrameWriter(Stream& stream) : out_(stream) {}
  // Collects; flush() sends.
  void hello() { append(out_.buffer(), kHello); }
  void add(uint8_t type, ByteView head, ByteView body = {}) { encode_frame(out_.buffer(), type, head, body); }
  size_t pending() const { return out_.pending(); }
  Status flush(Task& task) { return out_.flush(task); }
  // add() and flush().
  Status write(Task& task, uint8_t type, ByteView head, ByteView body = {}) {
    add(type, head, body);
    return flush(task);
  }

 private:
  BufferedWriter out_;
};

}  // namespace argon::wire
