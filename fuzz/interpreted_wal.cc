// Interpreted WAL: payloads, bodies of batches, what shards get of them, and records that become items.

#include "core/pg/interpret/batch.h"
#include "core/wire/replication.h"

using namespace argon;
using namespace argon::pg;

namespace {

// All records, written again. Nothing where one is malformed.
std::optional<Bytes> again(ByteView body) {
  auto in = BatchReader::open(body);
  if (!in.ok()) return {};
  BatchWriter out(in->header().start);
  InterpretedRecord record;
  for (;;) {
    auto found = in->next(record);
    if (!found.ok()) return {};
    if (!*found) break;
    CHECK(record.end <= in->header().end && record.start < record.end);
    for (const InterpretedItem& item : record.items)
      CHECK(item.content.empty() || (item.content.data() >= body.data() &&
                                     item.content.data() + item.content.size() <= body.data() + body.size()));
    out.add(record);
  }
  return out.finish();
}

void look_at_body(ByteView body) {
  std::optional<Bytes> written = again(body);
  if (!written) return;
  // Records may be left out at the end, which the header alone says.
  CHECK(written->size() == body.size());
  CHECK(std::equal(written->begin() + kBatchHeader, written->end(), body.begin() + kBatchHeader));
  BatchHeader header = BatchReader::open(body)->header();
  for (uint32_t number = 0; number < 3; number++) {
    auto part = batch_for(body, {number, 3, 16});
    CHECK(part.ok());
    CHECK(again(*part));
    CHECK(BatchReader::open(*part)->header() == header);
  }
  for (bool zstd : {false, true}) {
    Bytes buffer;
    auto opened = open_batch(seal_batch(body, zstd), buffer);
    CHECK(opened.ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView input(data, size);
  Bytes buffer;
  if (auto body = open_batch(input, buffer); body.ok()) look_at_body(*body);
  look_at_body(input);
  if (auto message = wire::parse_interpreted_wal(input); message.ok() && *message)
    CHECK((*message)->payload.size() + 17 == size);
  auto record = decode_record(input, Lsn(0x1000028), Lsn(0x1000028) + size + 8);
  Interpreter interpreter;
  InterpretedRecord interpreted;
  if (record.ok() && interpreter.interpret(*record, interpreted).ok()) {
    BatchWriter out(interpreted.start);
    out.add(interpreted);
    Bytes body = out.finish();
    CHECK(again(body) == body);
  }
  return 0;
}
