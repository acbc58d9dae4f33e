// Messages of proposers, acceptors and the broker: any frame, and what parses is written back and read again.

#include "core/broker/messages.h"
#include "core/consensus/codec.h"

namespace {

using namespace argon;

void proposer(const wire::Frame& frame) {
  auto parsed = consensus::parse_proposer_message(frame);
  if (!parsed.ok()) return;
  Bytes bytes;
  consensus::encode_message(bytes, *parsed);
  size_t used = 0;
  auto again = wire::decode_frame(bytes, used);
  CHECK(again.ok() && consensus::parse_proposer_message(*again).ok());
}

void acceptor(const wire::Frame& frame) {
  auto parsed = consensus::parse_acceptor_message(frame);
  if (!parsed.ok()) return;
  Bytes bytes;
  consensus::encode_message(bytes, *parsed);
  size_t used = 0;
  auto again = wire::decode_frame(bytes, used);
  CHECK(again.ok() && consensus::parse_acceptor_message(*again).ok());
}

void positions(ByteView payload) {
  auto infos = broker::parse_infos(payload);
  if (infos.ok()) {
    Bytes bytes;
    broker::encode_infos(bytes, broker::FrameType::Infos, *infos);
    size_t used = 0;
    auto again = wire::decode_frame(bytes, used);
    CHECK(again.ok() && *broker::parse_infos(again->payload) == *infos);
  }
  ignore_result(broker::parse_subscribe(payload));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ByteView payload(data + 1, size - 1);
  proposer({data[0], payload});
  acceptor({data[0], payload});
  positions(payload);
  size_t used = 0;
  ignore_result(wire::decode_frame(ByteView(data, size), used));
  return 0;
}
