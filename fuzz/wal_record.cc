// The inside of one record, behind a right header: headers of fragments, images, and the bodies that the
// checkpoint tracker reads.

#include "core/pg/wal_record.h"

#include <array>

#include "core/pg/checkpoint_tracker.h"
#include "core/pg/xact_record.h"

namespace {

using namespace argon;
using namespace argon::pg;

void check_inside(ByteView part, ByteView whole) {
  CHECK(part.empty() ||
        (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 70000) return 0;
  Bytes whole(kRecordHeader);
  append(whole, ByteView(data, size).subspan(2));
  store_le(whole.data(), static_cast<uint32_t>(whole.size()));
  store_le<uint32_t>(whole.data() + 4, 700);
  whole[16] = data[0];
  whole[17] = data[1];
  DecodedRecord record;
  if (!decode_record(whole, Lsn(0x1000028), Lsn(0x1000100), record).ok()) return 0;
  check_inside(record.main_data, whole);
  std::array<uint8_t, kBlockSize> page;
  for (const DecodedBlock& block : record.blocks()) {
    check_inside(block.image, whole);
    check_inside(block.data, whole);
    if (block.has_image) ignore_result(restore_image(block, page));  // broken compression is fine
  }
  CheckpointTracker tracker{ControlFile{}};
  auto applied = tracker.apply(record);
  if (applied.ok()) {
    auto back = decode_tracked_state(encode_tracked_state(tracker.exact()));
    CHECK(back.ok() && *back == tracker.exact());
  }
  return 0;
}
