#include "core/safekeeper/feedback.h"

#include <gtest/gtest.h>

namespace argon::safekeeper {
namespace {

ReaderState standby(int64_t at, uint64_t xmin, uint64_t catalog_xmin) {
  ReaderState reader;
  reader.standby = {at, xmin, catalog_xmin};
  return reader;
}

consensus::HotStandbyFeedback sum_of(const std::vector<ReaderState>& readers) {
  consensus::AppendResponse sum;
  for (const ReaderState& reader : readers) add_feedback(sum, reader);
  return sum.standby;
}

TEST(Feedback, OfStandbysTheOldestOfEachKindCounts) {
  EXPECT_EQ(sum_of({}), consensus::HotStandbyFeedback());
  EXPECT_EQ(sum_of({standby(5, 700, 0)}), (consensus::HotStandbyFeedback{5, 700, 0}));
  // The one with the older xmin needs nothing of the catalogs; the other does.
  EXPECT_EQ(sum_of({standby(5, 700, 0), standby(9, 800, 750)}), (consensus::HotStandbyFeedback{9, 700, 750}));
  EXPECT_EQ(sum_of({standby(9, 800, 750), standby(5, 900, 600)}),
            (consensus::HotStandbyFeedback{9, 800, 600}));
  // Epochs count: a wrapped xid is not older.
  EXPECT_EQ(sum_of({standby(1, (1ull << 32) + 3, 0), standby(2, 4'000'000'000, 0)}).xmin, 4'000'000'000u);
}

TEST(Feedback, OfPageserversTheOneThatHasMostCounts) {
  ReaderState behind, ahead;
  behind.is_pageserver = ahead.is_pageserver = true;
  behind.pageserver.last_received = Lsn(100);
  behind.pageserver.remote_consistent = Lsn(90);
  ahead.pageserver.last_received = Lsn(200);
  consensus::AppendResponse sum;
  for (const ReaderState& reader : {behind, standby(1, 7, 0), ahead, behind}) add_feedback(sum, reader);
  ASSERT_TRUE(sum.pageserver.has_value());
  EXPECT_EQ(sum.pageserver->last_received, Lsn(200));
  EXPECT_EQ(sum.standby.xmin, 7u);
}

}  // namespace
}  // namespace argon::safekeeper
