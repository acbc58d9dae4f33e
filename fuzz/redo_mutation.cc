// Any bytes as a stored page mutation: refused, or the same after a round trip, and safe to apply.

#include <array>

#include "core/base/check.h"
#include "core/pg/redo/mutation.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace argon;
  using namespace argon::pg::redo;
  auto mutation = decode_mutation(ByteView(bytes, size));
  if (!mutation.ok()) return 0;
  Bytes encoded;
  encode_mutation(*mutation, encoded);
  CHECK(encoded == Bytes(bytes, bytes + size));
  std::array<uint8_t, pg::kBlockSize> page{};
  ignore_result(apply_mutation(*mutation, page));  // only that it stays inside the page
  return 0;
}
