// Frames between daemons: any bytes, and the same bytes behind a right header, so that payloads are reached.

#include "core/wire/frame.h"

namespace {

using namespace argon;
using namespace argon::wire;

void take_all(ByteView in) {
  while (true) {
    size_t used = 0;
    Result<Frame> frame = decode_frame(in, used);
    if (!frame.ok()) {
      CHECK(frame.is(Code::Corrupt) || frame.is(Code::Unavailable));
      return;
    }
    CHECK(used == kFrameHeader + frame->payload.size() && used <= in.size());
    Bytes again;
    encode_frame(again, frame->type, frame->payload);
    CHECK(again == to_bytes(in.first(used)));
    in = in.subspan(used);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView input(data, size);
  take_all(input);
  if (size == 0 || size > kFramePayloadMax) return 0;
  size_t middle = data[0] % size;
  Bytes good;
  encode_frame(good, data[0], input.first(middle), input.subspan(middle));
  encode_frame(good, 1, {});
  append(good, input);
  take_all(good);
  return 0;
}
