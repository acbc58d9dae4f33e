#include "core/proxy/opening.h"

#include <algorithm>

#include "core/base/codec.h"
#include "core/wire/pg_messages.h"
#include "core/wire/pg_options.h"

namespace argon::proxy {
namespace {

constexpr std::string_view kEndpointWord = "endpoint=";

// Takes the word endpoint=NAME out of "options".
std::optional<std::string> take_endpoint_word(std::string& options) {
  std::optional<std::string> found;
  std::string rest;
  for (const std::string& word : wire::split_options(options)) {
    if (word.starts_with(kEndpointWord)) {
      found = word.substr(kEndpointWord.size());
      continue;
    }
    if (!rest.empty()) rest += ' ';
    for (char c : word) {
      if (c == ' ' || c == '\\' || (c >= '\t' && c <= '\r')) rest += '\\';
      rest += c;
    }
  }
  if (found) options = rest;
  return found;
}

std::string* find_in(StartupPacket& packet, std::string_view name) {
  for (auto& [key, value] : packet.parameters)
    if (key == name) return &value;
  return nullptr;
}

void drop(StartupPacket& packet, std::string_view name) {
  std::erase_if(packet.parameters, [&](const auto& parameter) { return parameter.first == name; });
}

Bytes with_length(Bytes packet) {
  store_be(packet.data(), static_cast<uint32_t>(packet.size()));
  return packet;
}

}  // namespace

const std::string* StartupPacket::find(std::string_view name) const {
  for (const auto& [key, value] : parameters)
    if (key == name) return &value;
  return nullptr;
}

Result<Opening> parse_opening(ByteView body) {
  Reader r(body);
  auto code = r.be<uint32_t>();
  if (r.failed()) return Error(Code::Invalid, "a startup packet without a protocol version");
  if (code == wire::kSslRequestCode) return Opening(SslRequest{});
  if (code == wire::kGssEncRequestCode) return Opening(GssEncRequest{});
  if (code == wire::kCancelRequestCode) return Opening(CancelRequest{to_bytes(body.subspan(4))});
  if (code >> 16 != 3)
    return Error(Code::Unsupported, "protocol version " + std::to_string(code >> 16) + "." +
                                        std::to_string(code & 0xFFFF) +
                                        " asked for; only version 3 is spoken here");
  StartupPacket packet;
  packet.protocol = code;
  for (;;) {
    std::string_view name = r.cstring();
    if (r.failed()) return Error(Code::Invalid, "the startup packet's parameters are not terminated");
    if (name.empty()) break;
    std::string_view value = r.cstring();
    if (r.failed())
      return Error(Code::Invalid, "the startup packet ends inside parameter " + std::string(name));
    packet.parameters.emplace_back(name, value);
  }
  return Opening(std::move(packet));
}

Result<Opening> read_opening(Task& task, wire::BufferedReader& in) {
  TRY_ASSIGN(ByteView head, in.peek(task, 8));
  size_t length = load_be<uint32_t>(head.data());
  if (length < 8 || length > wire::kStartupPacketMax)
    return Error(Code::Corrupt, "startup packet of " + std::to_string(length) + " bytes from " +
                                    in.stream().peer() + ": not PostgreSQL's protocol");
  TRY_ASSIGN(ByteView packet, in.peek(task, length));
  Result<Opening> opening = parse_opening(packet.subspan(4));
  in.consume(length);
  return opening;
}

Bytes encode_startup(const StartupPacket& packet) {
  Bytes out(4);
  Writer w(out);
  w.be(packet.protocol);
  for (const auto& [name, value] : packet.parameters) w.cstring(name).cstring(value);
  w.u8(0);
  return with_length(std::move(out));
}

Bytes encode_cancel(const CancelRequest& request) {
  Bytes out(4);
  Writer(out).be(wire::kCancelRequestCode).bytes(request.body);
  return with_length(std::move(out));
}

Route route_of(StartupPacket packet, const std::optional<std::string>& from_host) {
  Route route{from_host, std::move(packet)};
  if (std::string* options = find_in(route.packet, "options")) {
    std::optional<std::string> word = take_endpoint_word(*options);
    if (options->empty()) drop(route.packet, "options");
    if (!route.endpoint) route.endpoint = word;
  }
  std::string* database = find_in(route.packet, "database");
  size_t slash = database == nullptr ? std::string::npos : database->find('/');
  if (route.endpoint || slash == std::string::npos) return route;
  route.endpoint = database->substr(0, slash);
  *database = database->substr(slash + 1);
  // The server's own default: a database of the user's name.
  if (database->empty()) drop(route.packet, "database");
  return route;
}

}  // namespace argon::proxy
