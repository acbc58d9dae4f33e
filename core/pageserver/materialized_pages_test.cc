#include "core/pageserver/materialized_pages.h"

#include <gtest/gtest.h>

namespace argon::pageserver {
namespace {

Key key(uint32_t block) {
  return {0, 1663, 5, 16384, 0, block};
}

TEST(MaterializedPages, APageIsFoundFromItsNewestVersionOnAndByItsOwnerAlone) {
  Metrics metrics;
  MaterializedPages pages(10, 1, metrics);
  uint64_t mine = pages.new_owner();
  uint64_t theirs = pages.new_owner();
  pages.insert(mine, key(1), {Lsn(100), Lsn(200), Bytes(1, 7)});
  EXPECT_EQ(pages.find(mine, key(1), Lsn(99)), nullptr);
  ASSERT_NE(pages.find(mine, key(1), Lsn(100)), nullptr);
  ASSERT_NE(pages.find(mine, key(1), Lsn(300)), nullptr);
  EXPECT_EQ(pages.find(mine, key(1), Lsn(300))->content, Bytes(1, 7));
  EXPECT_EQ(pages.find(mine, key(2), Lsn(300)), nullptr);
  EXPECT_EQ(pages.find(theirs, key(1), Lsn(300)), nullptr);
  EXPECT_EQ(metrics.counter("pageserver_materialized_cache_hits_total", "").value(), 3u);
  EXPECT_EQ(metrics.counter("pageserver_materialized_cache_hits_direct_total", "").value(), 1u);
}

TEST(MaterializedPages, TheLaterSpanStays) {
  Metrics metrics;
  MaterializedPages pages(10, 1, metrics);
  uint64_t owner = pages.new_owner();
  pages.insert(owner, key(1), {Lsn(100), Lsn(200), Bytes(1, 1)});
  pages.insert(owner, key(1), {Lsn(250), Lsn(300), Bytes(1, 2)});
  pages.insert(owner, key(1), {Lsn(100), Lsn(240), Bytes(1, 3)});
  EXPECT_EQ(pages.find(owner, key(1), Lsn(200)), nullptr);
  EXPECT_EQ(pages.find(owner, key(1), Lsn(300))->content, Bytes(1, 2));
}

TEST(MaterializedPages, ThoseThatWereNotUsedForLongestGo) {
  Metrics metrics;
  MaterializedPages pages(2, 1, metrics);
  uint64_t owner = pages.new_owner();
  pages.insert(owner, key(1), {Lsn(1), Lsn(1), {}});
  pages.insert(owner, key(2), {Lsn(1), Lsn(1), {}});
  auto used = pages.find(owner, key(1), Lsn(1));
  pages.insert(owner, key(3), {Lsn(1), Lsn(1), {}});
  EXPECT_NE(pages.find(owner, key(1), Lsn(1)), nullptr);
  EXPECT_EQ(pages.find(owner, key(2), Lsn(1)), nullptr);
  EXPECT_NE(pages.find(owner, key(3), Lsn(1)), nullptr);

  MaterializedPages none(0, 1, metrics);
  none.insert(owner, key(1), {Lsn(1), Lsn(1), {}});
  EXPECT_EQ(none.find(owner, key(1), Lsn(1)), nullptr);
}

}  // namespace
}  // namespace argon::pageserver
