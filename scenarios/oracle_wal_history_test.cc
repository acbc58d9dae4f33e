// The election oracle on hand-made runs: what it must let pass, and what it must not.

#include "scenarios/oracle_wal_history.h"

#include <gtest/gtest.h>

namespace argon::scenarios {
namespace {

using consensus::TermHistory;

constexpr Lsn kOrigin{1000};

// Terms that each write records of 10 bytes.
class Timeline {
 public:
  Status elected(uint64_t term, uint64_t start, const TermHistory& before) {
    Result<Lsn> previous = history.elected(Term(term), Lsn(start), before.with({Term(term), Lsn(start)}));
    return previous.ok() ? Status() : Status(previous.error());
  }
  void write(uint64_t term, uint64_t from, uint64_t to) {
    for (uint64_t at = from; at < to; at += 10)
      history.wrote(Term(term), {Lsn(at), Lsn(at + 10)}, Bytes(10, static_cast<uint8_t>(term)));
  }
  Status committed(uint64_t term, uint64_t lsn) { return history.committed(Term(term), Lsn(lsn)); }

  WalHistory history{kOrigin, Lsn(900)};
};

TermHistory with(std::initializer_list<consensus::TermStart> entries) {
  return TermHistory(entries);
}

const consensus::TermStart kBegin{Term(0), kOrigin};
const consensus::TermStart kOne{Term(1), kOrigin};

TEST(WalHistory, AProposerThatHearsLateThatItWonBreaksNothing) {
  Timeline t;
  ASSERT_TRUE(t.elected(1, 1000, with({kBegin})).ok());
  t.write(1, 1000, 1040);
  ASSERT_TRUE(t.committed(1, 1020).ok());
  // Term 3 took over from term 2, which had committed its start and nothing more.
  ASSERT_TRUE(t.elected(3, 1030, with({kBegin, kOne, {Term(2), Lsn(1030)}})).ok());
  t.write(3, 1030, 1060);
  ASSERT_TRUE(t.committed(3, 1060).ok());
  EXPECT_TRUE(t.elected(2, 1030, with({kBegin, kOne})).ok());
  EXPECT_EQ(t.history.committed_wal().size(), 60u);
}

TEST(WalHistory, AProposerThatHearsLateOwesWhatFormerTermsCommitted) {
  Timeline t;
  ASSERT_TRUE(t.elected(1, 1000, with({kBegin})).ok());
  t.write(1, 1000, 1040);
  ASSERT_TRUE(t.committed(1, 1040).ok());
  ASSERT_TRUE(t.elected(3, 1040, with({kBegin, kOne})).ok());
  EXPECT_TRUE(t.elected(2, 1030, with({kBegin, kOne})).is(Code::Corrupt));
}

TEST(WalHistory, ALaterTermKeepsATermWhoseStartWasCommitted) {
  Timeline t;
  ASSERT_TRUE(t.elected(1, 1000, with({kBegin})).ok());
  t.write(1, 1000, 1040);
  ASSERT_TRUE(t.elected(3, 1040, with({kBegin, kOne})).ok());
  EXPECT_TRUE(t.elected(2, 1030, with({kBegin, kOne})).is(Code::Corrupt));
}

TEST(WalHistory, ALaterTermThatBeginsBelowACommitIsCaught) {
  Timeline t;
  ASSERT_TRUE(t.elected(1, 1000, with({kBegin})).ok());
  t.write(1, 1000, 1040);
  ASSERT_TRUE(t.committed(1, 1030).ok());
  EXPECT_TRUE(t.elected(2, 1020, with({kBegin, kOne})).is(Code::Corrupt));
}

TEST(WalHistory, ACommitReportedAfterALaterTermBeganBelowItIsCaught) {
  Timeline t;
  ASSERT_TRUE(t.elected(1, 1000, with({kBegin})).ok());
  t.write(1, 1000, 1040);
  ASSERT_TRUE(t.elected(2, 1020, with({kBegin, kOne})).ok());
  EXPECT_TRUE(t.committed(1, 1020).ok());
  EXPECT_TRUE(t.committed(1, 1030).is(Code::Corrupt));
}

TEST(WalHistory, ACommitThatOnlyAMiddleTermLostIsCaught) {
  Timeline t;
  ASSERT_TRUE(t.elected(1, 1000, with({kBegin})).ok());
  t.write(1, 1000, 1040);
  ASSERT_TRUE(t.elected(2, 1020, with({kBegin, kOne})).ok());
  t.write(2, 1020, 1060);
  ASSERT_TRUE(t.elected(3, 1060, with({kBegin, kOne, {Term(2), Lsn(1020)}})).ok());
  EXPECT_TRUE(t.committed(3, 1060).ok());
  EXPECT_TRUE(t.committed(1, 1040).is(Code::Corrupt));
}

TEST(WalHistory, ATermIsWonOnce) {
  Timeline t;
  ASSERT_TRUE(t.elected(1, 1000, with({kBegin})).ok());
  EXPECT_TRUE(t.elected(1, 1000, with({kBegin})).is(Code::Corrupt));
}

TEST(WalHistory, ATermBeginsWhereARecordEnds) {
  Timeline t;
  ASSERT_TRUE(t.elected(1, 1000, with({kBegin})).ok());
  t.write(1, 1000, 1040);
  EXPECT_TRUE(t.elected(2, 1035, with({kBegin, kOne})).is(Code::Corrupt));
}

}  // namespace
}  // namespace argon::scenarios
