// Keys and stored values; and pages made from chains of arbitrary values.

#include "core/pageserver/reconstruct.h"
#include "core/pageserver/value.h"
#include "core/pageserver/value_compression.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace argon;
  using namespace argon::pageserver;
  ByteView input(data, size);
  if (auto key = parse_key(as_text(input)); key.ok()) CHECK(*parse_key(to_string(*key)) == *key);
  auto parts = parts_of(input);
  if (parts.ok()) CHECK(!parts->empty());
  if (size < 1) return 0;
  Bytes stored = to_bytes(input);
  stored[0] = static_cast<uint8_t>(ValueKind::Compressed);
  if (expand_value(stored).ok()) CHECK(!is_compressed(stored) && stored.size() <= 256 * size);
  // Two values, split where the first byte says, upon a page of zeros.
  size_t split = 1 + (data[0] * (size - 1)) / 256;
  Chain chain;
  Bytes zeros(pg::kBlockSize);
  if (split < size) chain.versions.push_back({Lsn(0x3000), to_bytes(input.subspan(split))});
  if (split > 1) chain.versions.push_back({Lsn(0x2000), to_bytes(input.subspan(1, split - 1))});
  chain.versions.push_back({Lsn(0x1000), image_value(zeros)});
  Key key = block_key({{{1663, 5, 16384}, pg::Fork::Main}, 0});
  auto page = reconstruct_page(key, chain, {});
  if (page.ok()) CHECK(page->size() == pg::kBlockSize);
  ignore_result(newest_image(key, chain));
  return 0;
}
