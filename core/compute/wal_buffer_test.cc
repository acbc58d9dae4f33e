#include "core/compute/wal_buffer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/base/random.h"

namespace argon::compute {
namespace {

RC_GTEST_PROP(WalBuffer, ReadsAndChecksAsOneLongString, (uint64_t seed)) {
  Random random(seed);
  constexpr uint64_t kSegment = 1 << 18;
  Lsn start(kSegment * 3 + random.below(kSegment));
  WalBuffer buffer(start, consensus::first_check(start), kSegment);
  Bytes all;
  for (int step = 0; step < 12; step++) {
    Bytes piece(random.below(100'000));
    random.fill(piece);
    buffer.append(piece);
    append(all, piece);
    Lsn cut(start.value + random.below(all.size() + 1));
    if (random.chance({1, 3}) && buffer.begin() <= cut) buffer.discard_before(cut);
    RC_ASSERT(buffer.end() == start + all.size());
    Lsn from(random.between(buffer.begin().value, buffer.end().value));
    size_t n = random.below(buffer.end() - from + 1);
    RC_ASSERT(buffer.read(from, n) == to_bytes(ByteView(all).subspan(from - start, n)));
    RC_ASSERT(buffer.check_at(from) == consensus::extend_check(consensus::first_check(start), start,
                                                               ByteView(all).first(from - start), kSegment));
  }
}

}  // namespace
}  // namespace argon::compute
