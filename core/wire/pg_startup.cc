#include "core/wire/pg_startup.h"

#include "core/base/codec.h"
#include "core/wire/pg_messages.h"

namespace argon::wire {
namespace {

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

std::string* StartupPacket::find(std::string_view name) {
  return const_cast<std::string*>(std::as_const(*this).find(name));
}

Result<Opening> parse_opening(ByteView body) {
  Reader r(body);
  auto code = r.be<uint32_t>();
  if (r.failed()) return Error(Code::Invalid, "a startup packet without a protocol version");
  if (code == kSslRequestCode) return Opening(EncryptionRequest{EncryptionRequest::Kind::Tls});
  if (code == kGssEncRequestCode) return Opening(EncryptionRequest{EncryptionRequest::Kind::Gss});
  if (code == kCancelRequestCode) return Opening(CancelRequest{to_bytes(body.subspan(4))});
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

Result<Opening> read_opening(Task& task, BufferedReader& in) {
  TRY_ASSIGN(ByteView head, in.peek(task, 8));
  size_t length = load_be<uint32_t>(head.data());
  if (length < 8 || length > kStartupPacketMax)
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
  Writer(out).be(kCancelRequestCode).bytes(request.key);
  return with_length(std::move(out));
}

Bytes encode_ssl_request() {
  Bytes out(4);
  Writer(out).be(kSslRequestCode);
  return with_length(std::move(out));
}

}  // namespace argon::wire
