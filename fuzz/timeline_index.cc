// Indexes of timelines, as they are and with the right checksum put in.

#include "core/pageserver/timeline_index.h"

#include "core/base/checksum.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace argon;
  using namespace argon::pageserver;
  Bytes bytes = to_bytes(ByteView(data, size));
  ignore_result(decode_index(bytes, "fuzz"));
  if (bytes.size() >= 16) store_le(bytes.data() + 12, crc32c(ByteView(bytes).subspan(16)));
  auto decoded = decode_index(bytes, "fuzz");
  if (!decoded.ok()) return 0;
  auto again = decode_index(encode_index(*decoded), "fuzz");
  CHECK(again.ok() && *again == *decoded);
  return 0;
}
