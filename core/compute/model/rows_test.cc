#include "core/compute/model/rows.h"

#include <gtest/gtest.h>

#include "core/base/codec.h"
#include "core/pg/page.h"

namespace argon::compute {
namespace {

constexpr pg::Xid kCommitted = 10;
constexpr pg::Xid kAborted = 11;
constexpr pg::Xid kRunning = 12;

CommitLog three_transactions() {
  Bytes segment(pg::kBlockSize);
  segment[kCommitted / 4] |= 1u << (2 * (kCommitted % 4));
  segment[kAborted / 4] |= 2u << (2 * (kAborted % 4));
  return CommitLog(std::move(segment));
}

void add(ByteSpan page, pg::Xid xmin, pg::Xid xmax, uint64_t key) {
  Bytes tuple = row_tuple(xmin, {key, key * 100}, Bytes(5));
  store_le(tuple.data() + 4, xmax);
  ASSERT_NE(pg::add_item(page, tuple), 0);
}

TEST(Rows, AreVisibleWhereTheirMakerCommittedAndNobodyWhoCommittedEndedThem) {
  Bytes page(pg::kBlockSize);
  pg::init_page(page);
  uint64_t key = 0;
  for (pg::Xid xmin : {kCommitted, kAborted, kRunning})
    for (pg::Xid xmax : {pg::kInvalidXid, kCommitted, kAborted, kRunning}) add(page, xmin, xmax, ++key);
  auto rows = visible_rows(page, three_transactions());
  ASSERT_TRUE(rows.ok()) << rows.error().message();
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[0].row, (Row{1, 100}));
  EXPECT_EQ((*rows)[1].row, (Row{3, 300}));  // ended by one that aborted
  EXPECT_EQ((*rows)[2].row, (Row{4, 400}));  // by one that has not ended
  EXPECT_EQ((*rows)[2].line, 4);
}

TEST(Rows, OfATransactionThatPgXactDoesNotReachAreAnError) {
  Bytes page(pg::kBlockSize);
  pg::init_page(page);
  add(page, pg::kBlockSize * 4, pg::kInvalidXid, 1);
  EXPECT_TRUE(visible_rows(page, three_transactions()).is(Code::Corrupt));
}

TEST(Rows, WhatIsTooShortIsNone) {
  Bytes page(pg::kBlockSize);
  pg::init_page(page);
  ASSERT_NE(pg::add_item(page, Bytes(30)), 0);
  EXPECT_TRUE(visible_rows(page, three_transactions()).is(Code::Corrupt));
}

TEST(Rows, AnEmptyPageHasNone) {
  auto rows = visible_rows(Bytes(pg::kBlockSize), three_transactions());
  ASSERT_TRUE(rows.ok());
  EXPECT_TRUE(rows->empty());
}

}  // namespace
}  // namespace argon::compute
