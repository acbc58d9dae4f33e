// WAL bytes in pieces: as they are, or a good stream made of the input with some bytes changed.

#include "core/pg/wal_stream.h"

#include <algorithm>

#include "core/pg/wal_builder.h"

namespace {

using namespace argon;
using namespace argon::pg;

constexpr WalIdentity kIdentity{77, 1};

// Records whose bodies are pieces of `input`, laid out from `start` on.
Bytes made_stream(ByteView input, Lsn start) {
  WalWriter writer(kIdentity, start, Lsn(8));
  while (!input.empty()) {
    size_t n = std::min<size_t>(input.size(), 1 + input[0] * size_t{40});
    RecordBuilder record(Rmgr::Xlog, input[0] & kInfoRmgrMask, 5);
    writer.append(record.main(input.first(n)));
    input = input.subspan(n);
  }
  return writer.take();
}

void decode(ByteView stream, Lsn start, size_t step) {
  WalStreamDecoder decoder(start, kIdentity);
  size_t fed = 0;
  Lsn end = start;
  while (fed < stream.size()) {
    size_t n = std::min(step, stream.size() - fed);
    decoder.feed(stream.subspan(fed, n));
    fed += n;
    DecodedRecord record;
    for (;;) {
      auto found = decoder.next(record);
      if (!found.ok()) {
        CHECK(decoder.last_end() >= end);
        return;
      }
      if (!*found) break;
      CHECK(record.start_lsn >= end && record.end_lsn > record.start_lsn);
      CHECK(record.prev < record.start_lsn);
      end = record.end_lsn;
      CHECK(decoder.last_end() == end && decoder.last_record() == record.start_lsn);
    }
    CHECK(decoder.position() <= start + fed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  ByteView input(data, size);
  size_t step = 1 + load_le<uint16_t>(data);
  Lsn start(kWalSegmentSize * 2 - (load_le<uint16_t>(data + 2) & 0x3FF8));
  if (page_offset(start) != 0 && !is_record_position(start)) start = page_start(start);
  uint8_t mode = data[4];
  uint8_t changes = data[5] % 4;
  input = input.subspan(6);
  if (mode & 1) {
    decode(input, start, step);
    return 0;
  }
  Bytes stream = made_stream(input, start);
  for (uint8_t i = 0; i < changes && input.size() >= 3 && !stream.empty(); i++) {
    stream[load_le<uint16_t>(input.data()) % stream.size()] ^= input[2];
    input = input.subspan(3);
  }
  decode(stream, start, step);
  return 0;
}
