// Which safekeeper a timeline's WAL is taken from.

#include "core/pageserver/receiver.h"

#include <gtest/gtest.h>

namespace argon::pageserver {
namespace {

using namespace literals;

constexpr Duration kLifetime = 10_s;
const TenantTimelineId kId{{{1}}, {{2}}};

MonotonicTime at(Duration time) {
  return MonotonicTime() + time;
}

class News : public testing::Test {
 protected:
  void hear(uint64_t node, uint64_t commit, Duration when) {
    broker::TimelineInfo info;
    info.id = kId;
    info.safekeeper = NodeId(node);
    info.commit = Lsn(commit);
    info.wal_address = "safekeeper:5454";
    news.note(info, at(when));
  }
  uint64_t best(Duration when) {
    const broker::TimelineInfo* found = news.best(kId, at(when), kLifetime);
    return found == nullptr ? 0 : found->safekeeper.value;
  }

  SafekeeperNews news;
};

TEST_F(News, TheMostAdvancedIsBest) {
  EXPECT_EQ(best(0_s), 0u);
  hear(1, 100, 1_s);
  hear(2, 200, 1_s);
  EXPECT_EQ(best(2_s), 2u);
  news.avoid(kId, NodeId(2), at(5_s));
  EXPECT_EQ(best(2_s), 1u);
  EXPECT_EQ(best(5_s), 2u);
  news.avoid(kId, NodeId(1), at(9_s));
  news.avoid(kId, NodeId(2), at(9_s));
  EXPECT_EQ(best(6_s), 2u);  // both
}

TEST_F(News, WhoWasHeardOfLatelyComesBeforeWhoIsAhead) {
  hear(1, 100, 20_s);
  hear(2, 200, 1_s);
  EXPECT_EQ(best(20_s), 1u);
  news.avoid(kId, NodeId(1), at(30_s));
  EXPECT_EQ(best(20_s), 1u);
}

TEST_F(News, WithoutABrokerTheLastKnownAreAsGoodAsAny) {
  hear(1, 100, 1_s);
  hear(2, 200, 1_s);
  EXPECT_EQ(best(1000_s), 2u);
  news.avoid(kId, NodeId(2), at(1005_s));
  EXPECT_EQ(best(1000_s), 1u);
}

TEST_F(News, OneThatWasOnlyAvoidedIsNotKnown) {
  news.avoid(kId, NodeId(1), at(5_s));
  EXPECT_EQ(best(6_s), 0u);
}

}  // namespace
}  // namespace argon::pageserver
