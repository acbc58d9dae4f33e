// A safekeeper's control file: as it is, and with length and checksum put right.

#include "core/safekeeper/control_file.h"

#include "core/base/checksum.h"

namespace {

using namespace argon;

void control(ByteView file) {
  auto decoded = safekeeper::decode_control(file);
  if (!decoded.ok()) return;
  auto again = safekeeper::decode_control(safekeeper::encode_control(*decoded));
  CHECK(again.ok() && *again == *decoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView input(data, size);
  control(input);
  Bytes sealed;
  Bytes good = safekeeper::encode_control({});
  append(sealed, ByteView(good).first(8));
  sealed.resize(12);
  store_le(sealed.data() + 8, static_cast<uint32_t>(size));
  append(sealed, input);
  sealed.resize(sealed.size() + 4);
  store_le(sealed.data() + sealed.size() - 4, crc32c(ByteView(sealed).first(sealed.size() - 4)));
  control(sealed);
  return 0;
}
