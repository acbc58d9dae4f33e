#include "core/wire/frame.h"

#include "core/base/checksum.h"
#include "core/base/codec.h"

namespace argon::wire {

namespace {

std::string kind_of(uint8_t type) {
  return "frame of type " + std::to_string(type);
}

}  // namespace

void encode_frame(Bytes& out, uint8_t type, ByteView head, ByteView body) {
  size_t length = head.size() + body.size();
  CHECK(length <= kFramePayloadMax, kind_of(type) + " has " + std::to_string(length) + " bytes");
  uint32_t crc = crc32c({&type, 1});
  crc = crc32c_extend(crc, head);
  crc = crc32c_extend(crc, body);
  out.reserve(out.size() + kFrameHeader + length);
  Writer w(out);
  w.be(static_cast<uint32_t>(length)).be(crc).u8(type).bytes(head).bytes(body);
}

Result<Frame> decode_frame(ByteView in, size_t& used) {
  if (in.size() < kFrameHeader) return Error(Code::Unavailable, "the frame's header is incomplete");
  Reader r(in);
  auto length = r.be<uint32_t>();
  auto crc = r.be<uint32_t>();
  if (length > kFramePayloadMax)
    return Error(Code::Corrupt, "a frame claims " + std::to_string(length) + " bytes; at most " +
                                    std::to_string(kFramePayloadMax) + " are allowed");
  if (in.size() - kFrameHeader < length) return Error(Code::Unavailable, "the frame is incomplete");
  ByteView checked = in.subspan(kFrameHeader - 1, 1 + length);
  if (crc32c(checked) != crc)
    return Error(Code::Corrupt,
                 kind_of(checked[0]) + ": checksum differs over " + std::to_string(length) + " bytes");
  used = kFrameHeader + length;
  return Frame{checked[0], checked.subspan(1)};
}

Result<bool> peek_hello(Task& task, BufferedReader& in) {
  TRY_ASSIGN(ByteView first, in.peek(task, kHello.size()));
  return std::equal(first.begin(), first.begin() + 5, kHello.begin());
}

Status expect_hello(Task& task, BufferedReader& in) {
  TRY_ASSIGN(ByteView first, in.peek(task, kHello.size()));
  ByteView hello(kHello);
  if (!std::equal(first.begin(), first.begin() + 5, hello.begin()))
    return Error(Code::Corrupt,
                 "the connection from " + in.stream().peer() + " does not speak Argon's protocol");
  if (!std::equal(first.begin(), first.end(), hello.begin(), hello.end()))
    return Error(Code::Unsupported, "the connection from " + in.stream().peer() + " speaks version " +
                                        std::to_string(first[7]) + " of Argon's protocol; here it is " +
                                        std::to_string(kHello[7]));
  in.consume(kHello.size());
  return {};
}

Result<Frame> FrameReader::read(Task& task) {
  in_.consume(pending_);
  pending_ = 0;
  TRY_ASSIGN(ByteView header, in_.peek(task, kFrameHeader));
  size_t length = load_be<uint32_t>(header.data());
  size_t used = 0;
  if (length <= kFramePayloadMax) {
    TRY_ASSIGN(header, in_.peek(task, kFrameHeader + length));
  }
  Result<Frame> frame = decode_frame(header, used);
  if (!frame.ok()) return frame.error().with("from " + in_.stream().peer());
  pending_ = used;
  return frame;
}

}  // namespace argon::wire
