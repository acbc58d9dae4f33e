#include "core/consensus/membership.h"

#include <gtest/gtest.h>

namespace argon::consensus {
namespace {

Member member(uint64_t id) {
  return {NodeId(id), "host", static_cast<uint16_t>(id)};
}

// {1, 2, 3} -> {3, 4, 5}.
MembershipChange change() {
  return MembershipChange(
      {ConfigurationGeneration(2), {member(1), member(2), member(3)}, {member(3), member(4), member(5)}});
}

MemberReport report(uint64_t id, uint32_t generation, uint64_t term, uint64_t last_term, uint64_t flush) {
  return {NodeId(id), ConfigurationGeneration(generation), Term(term), {Term(last_term), Lsn(flush)}};
}

TEST(MembershipChange, GoesFromOldMembersToNewOnes) {
  MembershipChange c = change();
  c.report(report(1, 2, 7, 6, 500));
  EXPECT_FALSE(c.fence());
  c.report(report(2, 2, 8, 5, 900));
  ASSERT_TRUE(c.fence());
  EXPECT_EQ(c.fence()->term, Term(8));
  EXPECT_EQ(c.fence()->position, (LogPosition{Term(6), Lsn(500)}));
  EXPECT_FALSE(c.ready());
  c.report(report(4, 2, 8, 6, 500));
  c.report(report(5, 2, 8, 6, 499));
  EXPECT_FALSE(c.ready());
  c.report(report(5, 2, 8, 6, 500));
  EXPECT_TRUE(c.ready());
  EXPECT_FALSE(c.done());
  EXPECT_EQ(to_string(c.final_configuration()), "g3 {3, 4, 5}");
  c.report(report(4, 3, 8, 6, 500));
  c.report(report(5, 3, 9, 9, 600));
  EXPECT_TRUE(c.done());
}

TEST(MembershipChange, ALowerTermMustBeRaised) {
  MembershipChange c = change();
  c.report(report(1, 2, 7, 6, 500));
  c.report(report(3, 2, 6, 6, 500));
  c.report(report(4, 2, 6, 6, 400));
  EXPECT_EQ(c.below_term(), std::vector<NodeId>{NodeId(3)});
  EXPECT_FALSE(c.ready());
  c.report(report(3, 2, 7, 6, 500));
  EXPECT_TRUE(c.below_term().empty());
  c.report(report(5, 2, 9, 9, 700));  // elected together with the old members: it has what they had
  EXPECT_TRUE(c.ready());
}

TEST(MembershipChange, TheFenceStaysWhereItIs) {
  MembershipChange c = change();
  c.report(report(1, 2, 7, 7, 500));
  c.report(report(2, 2, 7, 7, 500));
  c.report(report(1, 2, 9, 9, 800));
  c.report(report(3, 2, 9, 9, 900));
  EXPECT_EQ(c.fence()->position, (LogPosition{Term(7), Lsn(500)}));
}

TEST(MembershipChange, OldNewsAndStrangersDoNotCount) {
  MembershipChange c = change();
  c.report(report(1, 1, 7, 7, 500));  // not in the joint configuration yet
  c.report(report(2, 2, 7, 7, 500));
  c.report(report(9, 2, 7, 7, 500));
  EXPECT_FALSE(c.fence());
  EXPECT_EQ(c.waiting_for(),
            "safekeeper 1 to join g2 {1, 2, 3} -> {3, 4, 5}, safekeeper 3 to join g2 {1, 2, 3} -> {3, 4, 5}");
  c.report(report(1, 2, 7, 7, 500));
  c.report(report(4, 3, 8, 8, 600));
  c.report(report(4, 2, 7, 7, 500));  // under way for longer than the one before
  c.report(report(5, 2, 6, 7, 500));
  c.report(report(3, 2, 7, 7, 100));
  EXPECT_EQ(c.waiting_for(),
            "safekeeper 3 to have WAL of term 7 up to 0/1F4 (it has 0/64), "
            "safekeeper 5 to be in term 7");
  EXPECT_FALSE(c.ready());
}

}  // namespace
}  // namespace argon::consensus
