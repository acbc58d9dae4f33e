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
      Bytes piece(random.below(3000));
      if (random.below(2) == 0) random.fill(ByteSpan(piece).first(random.below(piece.size() + 1)));
      blob.append(piece);
      append(wanted, piece);
    }
    ASSERT_EQ(blob.size(), wanted.size());
    EXPECT_EQ(blob.bytes(), wanted);
    uint64_t from = random.below(wanted.size() + 1);
    size_t length = random.below(wanted.size() - from + 1);
    EXPECT_EQ(blob.read(from, length), to_bytes(ByteView(wanted).subspan(from, length)));
  }
}

TEST(Blob, ZerosAreZerosUpToTheLastByte) {
  Bytes bytes(1000);
  EXPECT_TRUE(all_zeros(bytes));
  EXPECT_TRUE(all_zeros({}));
  for (size_t at : {0u, 1u, 500u, 999u}) {
    bytes[at] = 1;
    EXPECT_FALSE(all_zeros(bytes));
    bytes[at] = 0;
  }
}

}  // namespace
}  // namespace argon::sim
