// How a PostgreSQL client begins: encryption asked for, a cancel request, or a startup packet; and which
// endpoint it wants. Everything but read_opening() is pure.
//
// Source: PostgreSQL's protocol documentation, "Message Formats" (StartupMessage, SSLRequest, CancelRequest)
// and "Message Flow". Parameters keep their order, and those that are not known are passed on.

#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/wire/buffered.h"

namespace argon::proxy {

struct StartupPacket {
  uint32_t protocol = 0;  // major << 16 | minor
  std::vector<std::pair<std::string, std::string>> parameters;

  const std::string* find(std::string_view name) const;
};
struct SslRequest {};
struct GssEncRequest {};
struct CancelRequest {
  Bytes body;  // u32 process, secret key: as the server gave it in BackendKeyData
};
using Opening = std::variant<StartupPacket, SslRequest, GssEncRequest, CancelRequest>;

// The packet without its length word. Invalid: malformed parameters; Unsupported: another major protocol.
Result<Opening> parse_opening(ByteView body);
// The next one. Corrupt where its length cannot be one. Suspends.
Result<Opening> read_opening(Task& task, wire::BufferedReader& in);

// The packets as they are sent.
Bytes encode_startup(const StartupPacket& packet);
Bytes encode_cancel(const CancelRequest& request);

// The endpoint that the client names, and its packet without that name. By what comes first:
//  1. `from_host`, the first label of the host name it used, where the connection's encryption told it;
//  2. the word endpoint=NAME in the parameter `options`;
//  3. the part of the database's name before a slash: NAME/DATABASE.
// No name: nothing of this is there.
struct Route {
  std::optional<std::string> endpoint;
  StartupPacket packet;
};
Route route_of(StartupPacket packet, const std::optional<std::string>& from_host);

}  // namespace argon::proxy
