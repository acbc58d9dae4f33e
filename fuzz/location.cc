// What a pageserver keeps of a tenant's location, from a disk or from the object store: the location file, a
// claim and a heatmap parse or say why not, and what they give is written and parsed to the same. The first
// byte says which.

#include "core/pageserver/location.h"

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/pageserver/heatmap.h"

namespace {

using namespace argon;
using namespace argon::pageserver;

void try_location(ByteView bytes) {
  constexpr size_t kHeader = 16;  // magic, version, checksum
  Bytes sealed = to_bytes(bytes);
  if (sealed.size() >= kHeader) {
    ByteView all(sealed);
    store_le(sealed.data() + 12, crc32c_extend(crc32c(all.first(12)), all.subspan(kHeader)));
  }
  for (ByteView file : {bytes, ByteView(sealed)}) {
    auto location = decode_location(file, "location");
    if (!location.ok()) continue;
    auto again = decode_location(encode_location(*location), "location");
    CHECK(again.ok() && *again == *location);
  }
}

void try_heatmap(ByteView bytes) {
  auto heatmap = parse_heatmap(as_text(bytes));
  if (!heatmap.ok()) return;
  auto again = parse_heatmap(heatmap_text(*heatmap));
  CHECK(again.ok() && *again == *heatmap);
}

void try_claim(ByteView bytes) {
  Claim claim = parse_claim(as_text(bytes));
  CHECK(claim.pageserver == NodeId(0) || parse_claim(claim_text(claim)) == claim);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ByteView rest(data + 1, size - 1);
  if (data[0] % 3 == 0) try_location(rest);
  if (data[0] % 3 == 1) try_heatmap(rest);
  if (data[0] % 3 == 2) try_claim(rest);
  return 0;
}
