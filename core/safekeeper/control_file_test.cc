#include "core/safekeeper/control_file.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/base/checksum.h"

namespace argon::safekeeper {
namespace {

TimelineControl some_control(uint64_t seed) {
  Random random(seed);
  TimelineControl control;
  control.id = {random_tenant_id(random), random_timeline_id(random)};
  consensus::AcceptorState& s = control.acceptor;
  s.configuration.generation = consensus::ConfigurationGeneration(static_cast<uint32_t>(1 + random.below(9)));
  s.configuration.members = {{NodeId(1), "one", 5454}, {NodeId(2), "::1", 5455}};
  if (random.chance({1, 2})) s.configuration.new_members = {{NodeId(7), "seven", 1}};
  s.server = {150020, random.next(), 16u << 20};
  s.timeline_start = Lsn(16 + random.below(1u << 30));
  s.term = Term(random.below(100));
  if (random.chance({3, 4})) {
    std::vector<consensus::TermStart> entries{{Term(0), s.timeline_start}};
    uint64_t lsn = s.timeline_start.value;
    for (uint64_t t = 1; t <= s.term.value; t += 1 + random.below(20)) {
      lsn += random.below(1000);
      entries.push_back({Term(t), Lsn(lsn)});
    }
    s.history = consensus::TermHistory(entries);
    s.local_start = s.timeline_start;
    s.commit = Lsn(s.local_start.value + random.below(1u << 20));
  }
  control.backup = Lsn(random.next());
  control.remote_consistent = Lsn(random.next());
  if (s.local_start.valid() && random.chance({1, 2})) control.closed_at = s.commit + random.below(1000);
  Lsn link = s.timeline_start;
  for (uint64_t n = random.below(4); n > 0; n--, link += 1 + random.below(1u << 24))
    control.chain.push_back({link, random.next()});
  if (control.closed_at.valid() && random.chance({1, 2})) {
    control.closed_at = s.commit;
    control.evicted = EvictedTail{"wal/x.partial", s.commit - last_segment_start(s.commit),
                                  static_cast<uint32_t>(random.next())};
  }
  if (random.chance({1, 2})) control.partial = {"wal/x.partial", Lsn(random.next()), s.term};
  return control;
}

RC_GTEST_PROP(ControlFile, ReadsWhatWasWritten, (uint64_t seed)) {
  TimelineControl control = some_control(seed);
  auto decoded = decode_control(encode_control(control));
  RC_ASSERT(decoded.ok());
  RC_ASSERT(*decoded == control);
}

RC_GTEST_PROP(ControlFile, AnyFlippedBitIsRefused, (uint64_t seed, uint32_t place)) {
  Bytes file = encode_control(some_control(seed));
  file[place / 8 % file.size()] ^= static_cast<uint8_t>(1u << (place % 8));
  RC_ASSERT(!decode_control(file).ok());
}

RC_GTEST_PROP(ControlFile, AnyOtherLengthIsRefused, (uint64_t seed, uint32_t length)) {
  Bytes file = encode_control(some_control(seed));
  file.resize(length % file.size());
  RC_ASSERT(!decode_control(file).ok());
}

TEST(ControlFile, SaysWhichVersionItCannotRead) {
  Bytes file = encode_control(some_control(1));
  store_le<uint32_t>(file.data() + 4, 99);
  store_le(file.data() + file.size() - 4, crc32c(ByteView(file).first(file.size() - 4)));
  auto decoded = decode_control(file);
  EXPECT_TRUE(decoded.is(Code::Unsupported));
  EXPECT_EQ(decoded.error().message(), "version 99, this build reads up to 3");
}

TEST(ControlFile, RefusesWhatContradictsItself) {
  TimelineControl control = some_control(2);
  control.acceptor.configuration.generation = consensus::ConfigurationGeneration(0);
  EXPECT_TRUE(decode_control(encode_control(control)).is(Code::Invalid));
  control = some_control(2);
  control.acceptor.history = {};
  control.acceptor.local_start = Lsn(16);
  EXPECT_TRUE(decode_control(encode_control(control)).is(Code::Corrupt));
  control = some_control(2);
  control.closed_at = control.acceptor.commit - 1;
  EXPECT_TRUE(decode_control(encode_control(control)).is(Code::Corrupt));
  control = some_control(2);
  control.chain = {{Lsn(2), 7}, {Lsn(2), 7}};
  EXPECT_TRUE(decode_control(encode_control(control)).is(Code::Corrupt));
  control = some_control(2);
  ASSERT_TRUE(control.acceptor.local_start.valid());
  control.closed_at = control.acceptor.commit;
  uint64_t size = control.closed_at - last_segment_start(control.closed_at);
  control.evicted = EvictedTail{"wal/x.partial", size, 7};
  EXPECT_TRUE(decode_control(encode_control(control)).ok());
  control.evicted->size++;
  EXPECT_TRUE(decode_control(encode_control(control)).is(Code::Corrupt));
  control.evicted = EvictedTail{"", size, 7};
  EXPECT_TRUE(decode_control(encode_control(control)).is(Code::Corrupt));
  control.evicted = EvictedTail{"wal/x.partial", size, 7};
  control.closed_at = Lsn();
  EXPECT_TRUE(decode_control(encode_control(control)).is(Code::Corrupt));
}

}  // namespace
}  // namespace argon::safekeeper
