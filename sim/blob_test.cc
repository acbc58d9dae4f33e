#include "sim/blob.h"

#include <gtest/gtest.h>

#include "core/base/random.h"

namespace argon::sim {
namespace {

TEST(Blob, GivesBackWhatWasAppended) {
  Random random(7);
  for (int round = 0; round < 50; round++) {
    Blob blob;
    Bytes wanted;
    for (uint64_t pieces = random.below(12); pieces > 0; pieces--) {
      Bytes piece(random.below(9000));
      if (random.below(2) == 0) random.fill(ByteSpan(piece).first(random.below(piece.size() + 1)));
      blob.append(piece);
      append(wanted, piece);
      if (random.below(3) != 0) continue;
      uint64_t zeros = random.below(20'000);
      blob.append_zeros(zeros);
      wanted.resize(wanted.size() + zeros);
    }
    ASSERT_EQ(blob.size(), wanted.size());
    EXPECT_EQ(blob.bytes(), wanted);
    uint64_t from = random.below(wanted.size() + 1);
    size_t length = random.below(wanted.size() - from + 1);
    EXPECT_EQ(blob.read(from, length), to_bytes(ByteView(wanted).subspan(from, length)));
  }
}

}  // namespace
}  // namespace argon::sim
