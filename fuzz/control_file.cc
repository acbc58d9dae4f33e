// pg_control, relation maps and tracked checkpoints: as they are, and with the right checksum put in.

#include "core/pg/control_file.h"

#include <algorithm>

#include "core/base/checksum.h"
#include "core/pg/checkpoint_tracker.h"
#include "core/pg/relmap.h"

namespace {

using namespace argon;
using namespace argon::pg;

// `bytes` with the CRC of what comes before it at `at`.
Bytes sealed(ByteView bytes, size_t at) {
  Bytes out = to_bytes(bytes);
  if (out.size() >= at + 4) store_le(out.data() + at, crc32c(ByteView(out).first(at)));
  return out;
}

void control(ByteView bytes) {
  auto decoded = decode_control_file(bytes);
  if (!decoded.ok()) return;
  auto back = decode_control_file(encode_control_file(*decoded));
  CHECK(back.ok() && *back == *decoded);
}

void map(ByteView bytes) {
  auto decoded = decode_relmap(bytes);
  if (!decoded.ok()) return;
  auto back = decode_relmap(encode_relmap(*decoded));
  CHECK(back.ok() && *back == *decoded);
}

void tracked(ByteView bytes) {
  auto decoded = decode_tracked_state(bytes);
  if (!decoded.ok()) return;
  auto back = decode_tracked_state(encode_tracked_state(*decoded));
  CHECK(back.ok() && *back == *decoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView input(data, size);
  control(input);
  // A good file with the input laid over its beginning, sealed.
  Bytes good = encode_control_file(ControlFile{});
  std::copy_n(data, std::min<size_t>(size, 288), good.begin());
  store_le(good.data() + 8, kControlVersion);
  store_le(good.data() + 12, kCatalogVersion);
  control(sealed(good, 288));
  map(input);
  Bytes padded = to_bytes(input);
  padded.resize(kRelMapSize);
  map(sealed(padded, 504));
  tracked(input);
  if (size >= 4) tracked(sealed(input, size - 4));
  return 0;
}
