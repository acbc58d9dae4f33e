// Mutations and effects: SLRU pages, visibility map, truncations, what transaction records imply.

#include "core/pg/redo/nonblock.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/pg/wal_builder.h"

namespace argon::pg::redo {
namespace {

using PageBytes = std::array<uint8_t, kBlockSize>;
constexpr RelFileNode kTable{1663, 5, 16384};

rc::Gen<std::vector<Xid>> xids_of_one_page(uint32_t per_page) {
  return rc::gen::exec([per_page] {
    uint32_t page = *rc::gen::inRange<uint32_t>(0, 1000);
    std::vector<Xid> xids;
    auto count = *rc::gen::inRange<uint32_t>(1, 12);
    for (uint32_t i = 0; i < count; i++)
      xids.push_back(page * per_page + *rc::gen::inRange<uint32_t>(0, per_page));
    return xids;
  });
}

rc::Gen<Mutation> any_mutation() {
  return rc::gen::exec([]() -> Mutation {
    switch (*rc::gen::inRange(0, 10)) {
      case 0:
        return ClearVisibilityMapFlags{*rc::gen::arbitrary<uint32_t>(), *rc::gen::element<uint8_t>(1, 2, 3)};
      case 1:
        return TruncateVisibilityMap{*rc::gen::arbitrary<uint32_t>()};
      case 2:
        return TruncateFreeSpaceMap{*rc::gen::inRange<uint16_t>(0, kFsmSlotsPerPage)};
      case 3:
        return ZeroPage{};
      case 4:
        return ZeroOffsetsPage{*rc::gen::element<uint16_t>(0, 1)};
      case 5:
        return ClogSetCommitted{*xids_of_one_page(kXidsPerClogPage), *rc::gen::arbitrary<int64_t>()};
      case 6:
        return ClogSetAborted{*xids_of_one_page(kXidsPerClogPage)};
      case 7:
        return CommitTsSet{*xids_of_one_page(kXidsPerCommitTsPage), *rc::gen::arbitrary<int64_t>(),
                           *rc::gen::arbitrary<uint16_t>()};
      case 8:
        return MultixactOffsetSet{*rc::gen::arbitrary<uint32_t>(), *rc::gen::arbitrary<uint32_t>(),
                                  *rc::gen::arbitrary<bool>()};
      default: {
        MultixactMembersSet m;
        m.offset = *rc::gen::inRange<uint32_t>(0, 1000) * kMembersPerPage + 5;
        auto count = *rc::gen::inRange<uint32_t>(0, 9);
        for (uint32_t i = 0; i < count; i++)
          m.members.push_back({*rc::gen::arbitrary<uint32_t>(), *rc::gen::inRange<uint8_t>(0, 6)});
        return m;
      }
    }
  });
}

RC_GTEST_PROP(Mutation, SurvivesItsCodecAndApplies, ()) {
  Mutation mutation = *any_mutation();
  Bytes encoded;
  encode_mutation(mutation, encoded);
  auto decoded = decode_mutation(encoded);
  RC_ASSERT(decoded.ok());
  RC_ASSERT(*decoded == mutation);
  PageBytes page;
  page.fill(0x5A);
  RC_ASSERT(apply_mutation(mutation, page).ok());
  RC_ASSERT(!to_string(mutation).empty());
}

RC_GTEST_PROP(Mutation, CutOrLongerBytesAreCorrupt, ()) {
  Bytes encoded;
  encode_mutation(*any_mutation(), encoded);
  Bytes longer = encoded;
  longer.push_back(0);
  RC_ASSERT(decode_mutation(longer).is(Code::Corrupt));
  encoded.pop_back();
  RC_ASSERT(decode_mutation(encoded).is(Code::Corrupt));
}

TEST(Mutation, UnknownKindIsOfALaterVersion) {
  EXPECT_TRUE(decode_mutation(Bytes{99, 1, 2}).is(Code::Unsupported));
}

TEST(Mutation, EntriesOfTwoPagesAreRefused) {
  PageBytes page{};
  EXPECT_TRUE(apply_mutation(ClogSetAborted{{5, kXidsPerClogPage}}, page).error().code() == Code::Corrupt);
  EXPECT_TRUE(apply_mutation(ClogSetAborted{{kXidsPerClogPage, 5}}, page).error().code() == Code::Corrupt);
  MultixactMembersSet across{kMembersPerPage - 1, {{1, 0}, {2, 0}}};
  EXPECT_TRUE(apply_mutation(across, page).error().code() == Code::Corrupt);
}

TEST(Mutation, ClogHoldsTwoBitsATransaction) {
  PageBytes page{};
  ASSERT_TRUE(apply_mutation(ClogSetCommitted{{kXidsPerClogPage + 5}, 0}, page).ok());
  ASSERT_TRUE(apply_mutation(ClogSetAborted{{kXidsPerClogPage + 6}}, page).ok());
  EXPECT_EQ(page[1], (1 << 2) | (2 << 4));
}

RC_GTEST_PROP(Mutation, IdsInARowAreSetAsOneByOne, ()) {
  PageBytes together;
  together.fill(*rc::gen::arbitrary<uint8_t>());
  PageBytes apart = together;
  bool committed = *rc::gen::arbitrary<bool>();
  auto mutation = [&](std::vector<Xid> xids) {
    return committed ? Mutation(ClogSetCommitted{std::move(xids), 0})
                     : Mutation(ClogSetAborted{std::move(xids)});
  };
  std::vector<Xid> xids;
  for (int runs = *rc::gen::inRange(1, 4); runs > 0; runs--) {
    auto length = *rc::gen::inRange<uint32_t>(1, 40);
    Xid first = 7 * kXidsPerClogPage + *rc::gen::inRange<uint32_t>(0, kXidsPerClogPage - length + 1);
    for (Xid xid = first; xid < first + length; xid++) xids.push_back(xid);
  }
  RC_ASSERT(apply_mutation(mutation(xids), together).ok());
  for (Xid xid : xids) RC_ASSERT(apply_mutation(mutation({xid}), apart).ok());
  RC_ASSERT(together == apart);
}

TEST(Mutation, ZeroingAnOffsetsPageKeepsTheEntrySetBefore) {
  PageBytes page{};
  MultixactOffsetSet next{kOffsetsPerPage * 3, 4711, true};
  EXPECT_TRUE(starts_from_zeros(next));
  ASSERT_TRUE(apply_mutation(next, page).ok());
  page[4000] = 9;
  EXPECT_FALSE(will_init(ZeroOffsetsPage{0}));
  ASSERT_TRUE(apply_mutation(ZeroOffsetsPage{0}, page).ok());
  EXPECT_EQ(load_le<uint32_t>(page.data()), 4711u);
  EXPECT_EQ(page[4000], 0);
}

TEST(Mutation, MembersKeepTheirStatusBesideTheirXid) {
  PageBytes page{};
  ASSERT_TRUE(apply_mutation(MultixactMembersSet{5, {{100, 3}, {200, 5}}}, page).ok());
  EXPECT_EQ(page[20 + 1], 3);
  EXPECT_EQ(page[20 + 2], 5);
  EXPECT_EQ(load_le<uint32_t>(page.data() + 20 + 4 + 4), 100u);
  EXPECT_EQ(load_le<uint32_t>(page.data() + 20 + 4 + 8), 200u);
}

TEST(Mutation, VisibilityMapTailIsClearedFromTheBlockOn) {
  PageBytes page;
  page.fill(0xFF);
  ASSERT_TRUE(apply_mutation(TruncateVisibilityMap{kHeapBlocksPerVmPage + 6}, page).ok());
  EXPECT_EQ(page[24], 0xFF);
  EXPECT_EQ(page[25], 0x0F);
  EXPECT_EQ(page[26], 0);
  EXPECT_EQ(page[8191], 0);
}

TEST(Mutation, FreeSpaceMapRootFollowsItsSlots) {
  PageBytes page{};
  constexpr size_t kNodes = 28;
  constexpr size_t kLeafs = kNodes + 4095;
  page[kLeafs + 3] = 40;
  page[kLeafs + 4000] = 90;
  page[kNodes] = 90;
  ASSERT_TRUE(apply_mutation(TruncateFreeSpaceMap{3500}, page).ok());
  EXPECT_EQ(page[kLeafs + 4000], 0);
  EXPECT_EQ(page[kNodes], 40);
}

// ---- Effects ----

struct Effects {
  Bytes raw;
  std::vector<Effect> list;
  template <typename T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const Effect& e : list)
      if (const T* t = std::get_if<T>(&e)) found.push_back(*t);
    return found;
  }
};

Effects effects_of(const RecordBuilder& builder, const RedoSettings& settings = {}) {
  Effects effects;
  effects.raw = builder.build(Lsn(0x1000));
  auto record = decode_record(effects.raw, Lsn(0x2000), Lsn(0x2100));
  CHECK(record.ok());
  Status status = nonblock_effects(*record, settings, effects.list);
  CHECK(status.ok(), status.ok() ? "" : status.error().to_string());
  return effects;
}

TEST(Effects, UpdateClearsTheMapOfBothPages) {
  RecordBuilder b(Rmgr::Heap, 0x20, 733);
  Bytes main(14, 0);
  main[7] = 3;  // old and new page were all-visible
  b.main(main).block(0, {kTable, Fork::Main}, 40000).data(as_bytes("x")).block(1, {kTable, Fork::Main}, 9);
  auto clears = effects_of(b).all<BlockMutation>();
  ASSERT_EQ(clears.size(), 2u);
  EXPECT_EQ(clears[0].block, (BlockTag{{kTable, Fork::Vm}, 0}));
  EXPECT_EQ(std::get<ClearVisibilityMapFlags>(clears[0].mutation), (ClearVisibilityMapFlags{9, 3}));
  EXPECT_EQ(clears[1].block, (BlockTag{{kTable, Fork::Vm}, 1}));
  EXPECT_EQ(std::get<ClearVisibilityMapFlags>(clears[1].mutation), (ClearVisibilityMapFlags{40000, 3}));
}

TEST(Effects, LockClearsOnlyAllFrozen) {
  RecordBuilder b(Rmgr::Heap, 0x60, 733);
  Bytes main(8, 0);
  main[7] = 1;
  b.main(main).block(0, {kTable, Fork::Main}, 5);
  auto clears = effects_of(b).all<BlockMutation>();
  ASSERT_EQ(clears.size(), 1u);
  EXPECT_EQ(std::get<ClearVisibilityMapFlags>(clears[0].mutation).flags, kVmAllFrozen);
}

Bytes commit_main(std::vector<Xid> subxids, std::vector<RelFileNode> dropped) {
  Bytes main;
  Writer w(main);
  w.le<int64_t>(123456).le<uint32_t>(1u << 1 | 1u << 2);
  w.le<uint32_t>(static_cast<uint32_t>(subxids.size()));
  for (Xid xid : subxids) w.le(xid);
  w.le<uint32_t>(static_cast<uint32_t>(dropped.size()));
  for (const RelFileNode& rel : dropped) w.le(rel.spc).le(rel.db).le(rel.rel);
  return main;
}

TEST(Effects, CommitSetsEveryXidOnItsPageAndDropsRelations) {
  RecordBuilder b(Rmgr::Xact, 0x80, kXidsPerClogPage - 1);
  b.main(commit_main({kXidsPerClogPage, kXidsPerClogPage + 7}, {kTable}));
  Effects e =
      effects_of(b, {.data_checksums = false, .wal_log_hints = false, .track_commit_timestamp = true});
  std::vector<Xid> committed;
  std::vector<Xid> stamped;
  for (const SlruMutation& m : e.all<SlruMutation>()) {
    if (const auto* c = std::get_if<ClogSetCommitted>(&m.mutation)) {
      EXPECT_EQ(c->timestamp, 123456);
      for (Xid xid : c->xids) EXPECT_EQ(xid / kXidsPerClogPage, m.page);
      committed.insert(committed.end(), c->xids.begin(), c->xids.end());
    }
    if (const auto* c = std::get_if<CommitTsSet>(&m.mutation))
      stamped.insert(stamped.end(), c->xids.begin(), c->xids.end());
  }
  EXPECT_EQ(committed, (std::vector<Xid>{kXidsPerClogPage - 1, kXidsPerClogPage, kXidsPerClogPage + 7}));
  EXPECT_EQ(stamped, committed);
  ASSERT_EQ(e.all<RelationDrop>().size(), 1u);
  EXPECT_EQ(e.all<RelationDrop>()[0].rel, kTable);
  EXPECT_EQ(e.all<NextXidPast>().at(0).xid, kXidsPerClogPage + 7);
}

TEST(Effects, CutTransactionRecordIsCorrupt) {
  Bytes main = commit_main({5}, {kTable});
  main.pop_back();
  RecordBuilder b(Rmgr::Xact, 0x80, 4);
  b.main(main);
  Bytes raw = b.build(Lsn(0x1000));
  auto record = decode_record(raw, Lsn(0x2000), Lsn(0x2100));
  std::vector<Effect> out;
  EXPECT_EQ(nonblock_effects(*record, {}, out).error().code(), Code::Corrupt);
}

TEST(Effects, MultixactOnAPagesEndOpensTheNextPage) {
  RecordBuilder b(Rmgr::MultiXact, 0x20, 900);
  Bytes main;
  Writer(main).le<uint32_t>(kOffsetsPerPage - 1).le<uint32_t>(kMembersPerPage - 1).le<uint32_t>(2);
  Writer(main).le<uint32_t>(800).le<uint32_t>(0).le<uint32_t>(1000).le<uint32_t>(5);
  Effects e = effects_of(b.main(main));
  auto slru = e.all<SlruMutation>();
  ASSERT_EQ(slru.size(), 4u);
  EXPECT_EQ(std::get<MultixactOffsetSet>(slru[0].mutation),
            (MultixactOffsetSet{kOffsetsPerPage - 1, kMembersPerPage - 1, false}));
  EXPECT_EQ(slru[1].page, 1u);
  EXPECT_EQ(std::get<MultixactOffsetSet>(slru[1].mutation),
            (MultixactOffsetSet{kOffsetsPerPage, kMembersPerPage + 1, true}));
  EXPECT_EQ(slru[2].page, 0u);
  EXPECT_EQ(slru[3].page, 1u);
  EXPECT_EQ(e.all<NextXidPast>().at(0).xid, 1000u);
  EXPECT_EQ(e.all<NextMultiPast>().at(0).next_offset, kMembersPerPage + 1);
}

Effects truncate_to(BlockNumber blocks) {
  RecordBuilder b(Rmgr::Smgr, 0x20);
  Bytes main;
  Writer(main).le(blocks).le(kTable.spc).le(kTable.db).le(kTable.rel).le<uint32_t>(7);
  return effects_of(b.main(main));
}

TEST(Effects, TruncationCutsMainAndBothMaps) {
  auto at_boundary = truncate_to(0).all<RelationTruncate>();
  ASSERT_EQ(at_boundary.size(), 3u);
  for (const RelationTruncate& t : at_boundary)
    EXPECT_EQ(t.blocks, t.rel.fork == Fork::Fsm ? 2u : 0u) << "the upper levels of the free space map stay";
  Effects inside = truncate_to(kHeapBlocksPerVmPage + 3);
  for (const RelationTruncate& t : inside.all<RelationTruncate>()) {
    if (t.rel.fork == Fork::Main) {
      EXPECT_EQ(t.blocks, kHeapBlocksPerVmPage + 3);
    }
    if (t.rel.fork == Fork::Vm) {
      EXPECT_EQ(t.blocks, 2u);
    }
    if (t.rel.fork == Fork::Fsm) {
      EXPECT_EQ(t.blocks, 2u + kHeapBlocksPerVmPage / kFsmSlotsPerPage + 1);
    }
  }
  EXPECT_EQ(inside.all<BlockMutation>().size(), 2u);
}

TEST(Effects, SegmentsGoWithWraparound) {
  SlruTruncate clog{Slru::Clog, 100, 0, 0};  // page 100 is in segment 3
  EXPECT_TRUE(slru_truncates(clog, 0));
  EXPECT_TRUE(slru_truncates(clog, 2));
  EXPECT_FALSE(slru_truncates(clog, 3));
  EXPECT_FALSE(slru_truncates(clog, 4));
  EXPECT_TRUE(slru_truncates(clog, 4095)) << "the end of the transaction id space lies before its start";
  SlruTruncate members{Slru::MultixactMembers, 0, 80000, 2};
  EXPECT_TRUE(slru_truncates(members, 80000));
  EXPECT_TRUE(slru_truncates(members, 1));
  EXPECT_FALSE(slru_truncates(members, 2));
}

TEST(Effects, ParameterChangeCarriesTheSettings) {
  RecordBuilder b(Rmgr::Xlog, 0x60);
  Bytes main;
  Writer w(main);
  for (int i = 0; i < 6; i++) w.le<int32_t>(i);
  w.u8(1).u8(1).zeros(2);
  b.main(main);
  EXPECT_EQ(effects_of(b).all<ParameterChange>().at(0).wal_level, 5);
  Bytes raw = b.build(Lsn(0x1000));
  auto record = decode_record(raw, Lsn(0x2000), Lsn(0x2100));
  RedoSettings after = settings_after(*record, {});
  EXPECT_TRUE(after.wal_log_hints && after.track_commit_timestamp && !after.data_checksums);
}

RC_GTEST_PROP(Effects, ArbitraryMainDataEndsInAResult, ()) {
  auto rmgr = *rc::gen::inRange<uint8_t>(0, kLastBuiltinRmgr + 1);
  auto type = static_cast<uint8_t>(*rc::gen::inRange(0, 16) << 4);
  RecordBuilder b(static_cast<Rmgr>(rmgr), type, 733);
  b.main(*rc::gen::container<Bytes>(rc::gen::arbitrary<uint8_t>()));
  Bytes raw = b.build(Lsn(0x1000));
  auto record = decode_record(raw, Lsn(0x2000), Lsn(0x2100));
  std::vector<Effect> out;
  Status status = nonblock_effects(*record, {}, out);
  bool ended_well = status.ok() || status.error().code() == Code::Corrupt;
  RC_ASSERT(ended_well);
}

TEST(Effects, TwoPhaseFileEndsInItsCrc) {
  Bytes file = two_phase_file(as_bytes("state"));
  EXPECT_EQ(load_le<uint32_t>(file.data() + 5), crc32c(as_bytes("state")));
}

}  // namespace
}  // namespace argon::pg::redo
