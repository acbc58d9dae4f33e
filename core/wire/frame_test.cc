#include "core/wire/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace argon::wire {
namespace {

RC_GTEST_PROP(Frame, ComesBackAsItWentIn, (uint8_t type, const Bytes& head, const Bytes& body)) {
  Bytes wire = {1, 2, 3};
  encode_frame(wire, type, head, body);
  Bytes payload = head;
  append(payload, body);
  size_t used = 0;
  Result<Frame> frame = decode_frame(ByteView(wire).subspan(3), used);
  RC_ASSERT(frame.ok());
  RC_ASSERT(frame->type == type);
  RC_ASSERT(to_bytes(frame->payload) == payload);
  RC_ASSERT(used == wire.size() - 3);
}

RC_GTEST_PROP(Frame, NoSingleBitFlipGoesUnnoticed, (uint8_t type, const Bytes& payload)) {
  Bytes wire;
  encode_frame(wire, type, payload);
  size_t bit = *rc::gen::inRange<size_t>(0, wire.size() * 8);
  wire[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
  size_t used = 0;
  RC_ASSERT(!decode_frame(wire, used).ok());
}

TEST(Frame, OneThatIsCutIsNotYetComplete) {
  Bytes wire;
  encode_frame(wire, 7, as_bytes("payload"));
  for (size_t n = 0; n < wire.size(); n++) {
    size_t used = 0;
    EXPECT_TRUE(decode_frame(ByteView(wire).first(n), used).is(Code::Unavailable)) << n;
  }
}

TEST(Frame, AClaimedLengthBeyondTheBoundIsRefusedAtOnce) {
  Bytes wire = {0x7F, 0, 0, 0, 0, 0, 0, 0, 1};
  size_t used = 0;
  EXPECT_TRUE(decode_frame(wire, used).is(Code::Corrupt));
}

}  // namespace
}  // namespace argon::wire
