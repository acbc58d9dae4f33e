// What a PostgreSQL client says first: it asks for encryption, or to cancel a query, or starts.
//
// Source: PostgreSQL's protocol documentation, "Message Formats" (StartupMessage, SSLRequest, GSSENCRequest,
// CancelRequest). Parameters keep their order, and those that are not known are kept.

#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/wire/buffered.h"

namespace argon::wire {

struct StartupPacket {
  uint32_t protocol = 0;  // major << 16 | minor
  std::vector<std::pair<std::string, std::string>> parameters;

  // The first of that name, or null.
  std::string* find(std::string_view name);
  const std::string* find(std::string_view name) const;
};
struct EncryptionRequest {
  enum class Kind { Tls, Gss } kind = Kind::Tls;  // SSLRequest, GSSENCRequest
};
struct CancelRequest {
  Bytes key;  // u32 process, secret key: as the server gave it in BackendKeyData
};
using Opening = std::variant<StartupPacket, EncryptionRequest, CancelRequest>;

// A packet without its length word; pure. Invalid: malformed parameters; Unsupported: another major protocol.
Result<Opening> parse_opening(ByteView body);
// The next one. Corrupt where its length cannot be one; else parse_opening()'s errors. Suspends.
Result<Opening> read_opening(Task& task, BufferedReader& in);

// The packets as they are sent.
Bytes encode_startup(const StartupPacket& packet);
Bytes encode_cancel(const CancelRequest& request);
Bytes encode_ssl_request();

}  // namespace argon::wire
