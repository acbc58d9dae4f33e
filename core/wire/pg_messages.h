// PostgreSQL's protocol v3: what both sides share. Message layout and the ErrorResponse.
//
// A message is u8 type, u32 BE length (itself included, the type not), body. Source: PostgreSQL's
// protocol documentation, "Message Formats".

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/buffered.h"

namespace argon::wire {

inline constexpr size_t kPgMessageMax = 64u << 20;
inline constexpr uint32_t kProtocolVersion3 = 3u << 16;
inline constexpr uint32_t kCancelRequestCode = 80877102;
inline constexpr uint32_t kSslRequestCode = 80877103;
inline constexpr uint32_t kGssEncRequestCode = 80877104;
inline constexpr size_t kStartupPacketMax = 10'000;  // MAX_STARTUP_PACKET_LENGTH

struct PgMessage {
  uint8_t type = 0;
  ByteView body;  // borrowed until the next read
};

// Reads messages off a buffered stream; the one handed out last is consumed by the next read().
class PgMessageReader {
 public:
  explicit PgMessageReader(BufferedReader& in) : in_(in) {}
  // Errors: Disconnected (also at a clean end), Corrupt (length out of bounds), the stream's.
  Result<PgMessage> read(Task& task);
  // A whole message is buffered: read() would not wait. Never suspends.
  bool ready() const;
  // The type of the message that has arrived. REQUIRES: ready().
  uint8_t ready_type() const { return in_.buffered()[pending_]; }

 private:
  BufferedReader& in_;
  size_t pending_ = 0;
};

// Appends one message: begin, write the body into the buffer, end.
class PgMessageWriter {
 public:
  PgMessageWriter(Bytes& out, uint8_t type);
  // Patches the length.
  ~PgMessageWriter();
  PgMessageWriter(const PgMessageWriter&) = delete;
  PgMessageWriter& operator=(const PgMessageWriter&) = delete;

 private:
  Bytes& out_;
  size_t at_;
};

// One message with a body of two parts.
void put_message(Bytes& out, uint8_t type, ByteView head, ByteView body = {});

// SQLSTATEs for our codes, and back; both are total. What no code stands for becomes Io.
std::string_view sqlstate_of(Code code);
Code code_of(std::string_view sqlstate);

// ErrorResponse with severity ERROR or FATAL.
void put_error(Bytes& out, std::string_view severity, const Error& error);
// The SQLSTATE in the body of an ErrorResponse or NoticeResponse; empty where there is none. Borrowed.
std::string_view sqlstate_in(ByteView body);
// The error that such a body tells.
Error parse_error(ByteView body);

}  // namespace argon::wire
