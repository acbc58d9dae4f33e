#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/base/random.h"
#include "core/broker/hub.h"

namespace argon::broker {
namespace {

TimelineInfo info(uint64_t safekeeper, uint8_t timeline, uint64_t commit) {
  TimelineInfo i;
  i.safekeeper = NodeId(safekeeper);
  i.id.timeline.bytes[0] = timeline;
  i.commit = Lsn(commit);
  return i;
}

RC_GTEST_PROP(BrokerMessages, ReadWhatWasWritten, (uint64_t seed, uint8_t count)) {
  Random random(seed);
  std::vector<TimelineInfo> infos;
  for (int n = 0; n < count; ++n) {
    TimelineInfo i = info(1 + random.below(9), 0, random.next());
    i.id.tenant = random_tenant_id(random);
    i.flush = Lsn(random.next());
    i.term = Term(random.next());
    i.wal_address = "host:" + std::to_string(random.below(65536));
    infos.push_back(i);
  }
  Bytes bytes;
  encode_infos(bytes, FrameType::Infos, infos);
  size_t used = 0;
  auto frame = wire::decode_frame(bytes, used);
  RC_ASSERT(frame.ok());
  RC_ASSERT(*parse_infos(frame->payload) == infos);
}

TEST(BrokerMessages, RefuseAnInfoOfNobody) {
  TimelineInfo nobody = info(1, 1, 1);
  nobody.safekeeper = NodeId(0);
  Bytes bytes;
  encode_infos(bytes, FrameType::Publish, {nobody});
  size_t used = 0;
  EXPECT_TRUE(parse_infos(wire::decode_frame(bytes, used)->payload).is(Code::Corrupt));
  Bytes junk = {0xff, 0xff, 0x01};
  EXPECT_TRUE(parse_infos(junk).is(Code::Corrupt));
  EXPECT_TRUE(parse_subscribe(junk).is(Code::Corrupt));
}

TEST(Mailbox, KeepsOnlyTheNewestOfEach) {
  Mailbox box(10);
  EXPECT_FALSE(box.wants(info(1, 1, 0).id));
  box.subscribe({});
  box.put(info(1, 1, 10));
  box.put(info(2, 1, 20));
  box.put(info(1, 1, 30));
  auto taken = box.take(100);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].commit, Lsn(30));
  EXPECT_EQ(taken[1].commit, Lsn(20));
  EXPECT_TRUE(box.empty());
}

TEST(Mailbox, DropsTheOldestBeyondItsBound) {
  Mailbox box(3);
  box.subscribe(info(1, 1, 0).id);
  EXPECT_TRUE(box.wants(info(9, 1, 0).id));
  EXPECT_FALSE(box.wants(info(9, 2, 0).id));
  for (uint64_t sk = 1; sk <= 5; ++sk) box.put(info(sk, 1, sk));
  EXPECT_EQ(box.size(), 3u);
  EXPECT_EQ(box.dropped(), 2u);
  EXPECT_EQ(box.take(1).front().safekeeper, NodeId(3));
}

}  // namespace
}  // namespace argon::broker
