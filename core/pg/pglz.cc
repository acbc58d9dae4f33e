#include "core/pg/pglz.h"

#include <algorithm>

namespace argon::pg {

namespace {

Error broken() {
  return Error(Code::Corrupt, "pglz data is broken");
}

}  // namespace

// A control byte announces eight items, lowest bit first: 0 is a literal byte, 1 a back reference
// of two bytes (4 bits length - 3, 12 bits distance), with a third byte of length where the four
// bits are all set. References may overlap what they write.
Status pglz_decompress(ByteView in, ByteSpan out) {
  constexpr size_t kShortest = 3, kLongestInTag = 18;
  size_t from = 0, to = 0;
  while (from < in.size() && to < out.size()) {
    uint8_t control = in[from++];
    for (int item = 0; item < 8 && from < in.size() && to < out.size(); item++, control >>= 1) {
      if ((control & 1) == 0) {
        out[to++] = in[from++];
        continue;
      }
      if (in.size() - from < 2) return broken();
      size_t length = (in[from] & 0x0F) + kShortest;
      size_t distance = ((in[from] & 0xF0u) << 4) | in[from + 1];
      from += 2;
      if (length == kLongestInTag) {
        if (from == in.size()) return broken();
        length += in[from++];
      }
      if (distance == 0 || distance > to) return broken();
      length = std::min(length, out.size() - to);
      for (size_t i = 0; i < length; i++, to++) out[to] = out[to - distance];
    }
  }
  if (from != in.size() || to != out.size()) return broken();
  return {};
}

}  // namespace argon::pg
