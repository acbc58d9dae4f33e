// The tracker's rules, one by one, and the fabricated checkpoint at every kind of position.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/base/random.h"
#include "core/pg/checkpoint_tracker.h"
#include "core/pg/fabricated_checkpoint.h"
#include "core/pg/record_types.h"
#include "core/pg/wal_builder.h"
#include "core/pg/wal_stream.h"

namespace argon::pg {
namespace {

constexpr WalIdentity kSystem{0x1122334455667788, 1};

class Tracker : public testing::Test {
 protected:
  Tracker() : tracker(control()), writer(kSystem, Lsn(kWalSegmentSize), Lsn(8)) {}
  static ControlFile control() {
    ControlFile c;
    c.checkpoint.next_xid = 724;
    c.checkpoint.next_oid = 13573;
    c.checkpoint.oldest_xid = 716;
    return c;
  }
  // Applies the record; whether what is published changed.
  bool apply(const RecordBuilder& builder) {
    Bytes whole = builder.build(writer.previous());
    PlacedRecord placed = writer.append_whole(whole);
    auto record = decode_record(whole, placed.start, placed.end);
    CHECK(record.ok());
    CheckpointTracker by_xid = tracker;
    auto changed = tracker.apply(*record);
    EXPECT_TRUE(changed.ok()) << changed.error().to_string();
    if (changed.ok() && record->is(Rmgr::Heap)) {
      EXPECT_EQ(by_xid.apply_xid(record->xid), *changed);
      EXPECT_EQ(by_xid.exact(), tracker.exact());
    }
    return changed.ok() && *changed;
  }
  bool apply_checkpoint(uint8_t type, const Checkpoint& c) {
    Bytes body;
    encode_checkpoint(body, c);
    return apply(RecordBuilder(Rmgr::Xlog, type).main(body));
  }
  template <typename... Numbers>
  static Bytes body(Numbers... numbers) {
    Bytes out;
    Writer w(out);
    (w.le(numbers), ...);
    return out;
  }
  const Checkpoint& now() const { return tracker.exact().checkpoint; }

  CheckpointTracker tracker;
  WalWriter writer;
};

TEST_F(Tracker, NextXidFollowsEveryRecordAndIsPublishedInSteps) {
  EXPECT_TRUE(apply(RecordBuilder(Rmgr::Heap, 0, 724)) == false);  // still below 1024
  EXPECT_EQ(now().next_xid, 725u);
  EXPECT_EQ(tracker.published().checkpoint.next_xid, 1024u);
  EXPECT_FALSE(apply(RecordBuilder(Rmgr::Heap, 0, 730)));
  EXPECT_FALSE(apply(RecordBuilder(Rmgr::Heap, 0, 725)));
  EXPECT_EQ(now().next_xid, 731u);
  EXPECT_TRUE(apply(RecordBuilder(Rmgr::Heap, 0, 1024)));
  EXPECT_EQ(tracker.published().checkpoint.next_xid, 2048u);
}

TEST_F(Tracker, NextXidGoesThroughTheEndOfAnEpoch) {
  Checkpoint c = now();
  c.next_xid = 0xFFFFFFFE;
  c.oldest_xid = 0xF0000000;
  apply_checkpoint(xlog::kCheckpointShutdown, c);
  apply(RecordBuilder(Rmgr::Heap, 0, 0xFFFFFFFF));
  EXPECT_EQ(now().next_xid, 0x1'0000'0003u);
  apply(RecordBuilder(Rmgr::Heap, 0, 5));
  EXPECT_EQ(now().next_xid, 0x1'0000'0006u);
  apply(RecordBuilder(Rmgr::Heap, 0, 0xFFFFFFF0));  // of the epoch before
  EXPECT_EQ(now().next_xid, 0x1'0000'0006u);
}

TEST_F(Tracker, CommitsCountTheirSubtransactionsAndPreparedOnes) {
  Bytes commit = body(int64_t{1}, xact::kInfoSubxacts, uint32_t{2}, Xid{801}, Xid{900});
  apply(RecordBuilder(Rmgr::Xact, xact::kCommit | xact::kHasInfo, 800).main(commit));
  EXPECT_EQ(now().next_xid, 901u);
  Bytes prepare(72);
  store_le<uint32_t>(prepare.data(), 0x57F94534);
  store_le<Xid>(prepare.data() + 8, 950);
  store_le<uint32_t>(prepare.data() + 28, 1);
  store_le<uint16_t>(prepare.data() + 54, 4);
  append(prepare, body(uint32_t{0x00636261}, uint32_t{0}, Xid{970}));
  EXPECT_TRUE(apply(RecordBuilder(Rmgr::Xact, xact::kPrepare, 950).main(prepare)));
  EXPECT_EQ(now().next_xid, 971u);
  EXPECT_EQ(tracker.exact().prepared, std::vector<Xid>{950});
  Checkpoint shutdown = now();
  apply_checkpoint(xlog::kCheckpointShutdown, shutdown);
  EXPECT_EQ(now().oldest_active_xid, 950u);
  Bytes end = body(int64_t{1}, uint32_t{xact::kInfoTwophase}, Xid{950});
  EXPECT_TRUE(apply(RecordBuilder(Rmgr::Xact, xact::kCommitPrepared | xact::kHasInfo).main(end)));
  EXPECT_TRUE(tracker.exact().prepared.empty());
}

TEST_F(Tracker, OidsComeFromNextOidAndShutdownCheckpointsOnly) {
  EXPECT_TRUE(apply(RecordBuilder(Rmgr::Xlog, xlog::kNextOid).main(body(Oid{24576}))));
  Checkpoint online = now();
  online.next_oid = 20000;
  apply_checkpoint(xlog::kCheckpointOnline, online);
  EXPECT_EQ(now().next_oid, 24576u);
  apply_checkpoint(xlog::kCheckpointShutdown, online);
  EXPECT_EQ(now().next_oid, 20000u);
}

TEST_F(Tracker, AShutdownIsBelievedExactlyUntilTheNextRecord) {
  Checkpoint c = now();
  c.next_xid = 777;
  EXPECT_TRUE(apply_checkpoint(xlog::kCheckpointShutdown, c));
  EXPECT_EQ(tracker.published().checkpoint.next_xid, 777u);
  EXPECT_EQ(tracker.exact().shutdown_end, writer.position());
  EXPECT_TRUE(apply(RecordBuilder(Rmgr::Xlog, xlog::kNoop)));
  EXPECT_EQ(tracker.published().checkpoint.next_xid, 1024u);
  EXPECT_FALSE(tracker.exact().shutdown_end.valid());
  apply_checkpoint(xlog::kCheckpointShutdown, c);
  EXPECT_TRUE(apply(RecordBuilder(Rmgr::Heap, 0)));
  EXPECT_FALSE(tracker.exact().shutdown_end.valid());
}

TEST_F(Tracker, TheDatabaseOfTheOldestXidIsTheOneOfTheLastShutdown) {
  Checkpoint c = now();
  Oid other = c.oldest_xid_db + 1;
  c.oldest_xid_db = other;
  apply_checkpoint(xlog::kCheckpointOnline, c);
  EXPECT_NE(tracker.exact().checkpoint.oldest_xid_db, other) << "the xid has not moved";
  apply_checkpoint(xlog::kCheckpointShutdown, c);
  EXPECT_EQ(tracker.exact().checkpoint.oldest_xid_db, other);
}

TEST_F(Tracker, LimitsGoForwardOnly) {
  Checkpoint c = now();
  c.oldest_xid = 720;
  c.oldest_xid_db = 5;
  apply_checkpoint(xlog::kCheckpointOnline, c);
  c.oldest_xid = 718;
  c.oldest_xid_db = 4;
  apply_checkpoint(xlog::kCheckpointOnline, c);
  EXPECT_EQ(now().oldest_xid, 720u);
  EXPECT_EQ(now().oldest_xid_db, 5u);
  apply(RecordBuilder(Rmgr::Clog, slru::kTruncate).main(body(uint32_t{0}, Xid{722}, Oid{1})));
  EXPECT_EQ(now().oldest_xid, 722u);
}

TEST_F(Tracker, MultixactsAdvanceAndWrap) {
  apply(RecordBuilder(Rmgr::MultiXact, multixact::kCreateId)
            .main(body(MultiXactId{1}, uint32_t{1}, uint32_t{2}, Xid{730}, uint32_t{0}, Xid{740},
                       uint32_t{1})));
  EXPECT_EQ(now().next_multi, 2u);
  EXPECT_EQ(now().next_multi_offset, 3u);
  EXPECT_EQ(now().next_xid, 741u);
  apply(RecordBuilder(Rmgr::MultiXact, multixact::kTruncateId)
            .main(body(Oid{5}, uint32_t{1}, MultiXactId{2}, uint32_t{0}, uint32_t{0})));
  EXPECT_EQ(now().oldest_multi, 2u);
  EXPECT_EQ(now().oldest_multi_db, 5u);
}

TEST_F(Tracker, SettingsAndCommitTimestampsFollowParameterChanges) {
  auto parameters = [&](uint8_t hints, uint8_t track) {
    apply(RecordBuilder(Rmgr::Xlog, xlog::kParameterChange)
              .main(body(uint32_t{50}, uint32_t{9}, uint32_t{11}, uint32_t{3}, uint32_t{65}, uint32_t{2},
                         hints, track, uint16_t{0})));
  };
  parameters(1, 1);
  EXPECT_TRUE(tracker.exact().hint_bits_logged());
  EXPECT_EQ(tracker.exact().settings.max_connections, 50u);
  EXPECT_EQ(tracker.exact().settings.wal_level, WalLevel::Logical);
  EXPECT_EQ(now().oldest_commit_ts_xid, 724u);
  apply(RecordBuilder(Rmgr::Xact, xact::kCommit, 730).main(body(int64_t{1})));
  EXPECT_EQ(now().newest_commit_ts_xid, 730u);
  parameters(0, 0);
  EXPECT_EQ(now().newest_commit_ts_xid, 0u);
  EXPECT_FALSE(tracker.exact().hint_bits_logged());
}

TEST_F(Tracker, ATruncatedBodyIsAnErrorThatNamesTheLsn) {
  for (auto [rmgr, info] :
       std::initializer_list<std::pair<Rmgr, uint8_t>>{{Rmgr::Xlog, xlog::kCheckpointOnline},
                                                       {Rmgr::Xlog, xlog::kNextOid},
                                                       {Rmgr::Xlog, xlog::kParameterChange},
                                                       {Rmgr::Xact, xact::kCommit},
                                                       {Rmgr::Xact, xact::kPrepare},
                                                       {Rmgr::MultiXact, multixact::kCreateId},
                                                       {Rmgr::Clog, slru::kTruncate},
                                                       {Rmgr::Standby, standby::kRunningXacts}}) {
    Bytes whole = RecordBuilder(rmgr, info, 5).main(Bytes(2)).build(Lsn(8));
    auto record = decode_record(whole, Lsn(0x1000028), Lsn(0x1000050));
    ASSERT_TRUE(record.ok());
    auto applied = tracker.apply(*record);
    ASSERT_TRUE(applied.is(Code::Corrupt));
    EXPECT_NE(applied.error().message().find("0/1000028"), std::string::npos) << applied.error().message();
  }
}

TEST(TrackedState, EncodeAndDecodeGiveTheSameAndDamageIsNoticed) {
  TrackedState state;
  state.checkpoint.next_xid = 0x5'0000'0777;
  state.settings.wal_log_hints = true;
  state.prepared = {5, 7, 9};
  state.shutdown_end = Lsn(77);
  state.checkpoint_lsn = Lsn(60);
  state.checkpoint_redo = Lsn(50);
  Bytes bytes = encode_tracked_state(state);
  EXPECT_EQ(*decode_tracked_state(bytes), state);
  for (size_t i = 0; i < bytes.size(); i++) {
    Bytes bad = bytes;
    bad[i] ^= 0x10;
    EXPECT_FALSE(decode_tracked_state(bad).ok()) << i;
    EXPECT_FALSE(decode_tracked_state(ByteView(bytes).first(i)).ok()) << i;
  }
}

TEST(TrackedState, OfVersionOneHasNoCheckpoint) {
  TrackedState state;
  state.prepared = {5, 7};
  Bytes bytes = encode_tracked_state(state);
  bytes.resize(bytes.size() - 2 * 8 - 4);
  store_le<uint16_t>(bytes.data() + 4, 1);
  Writer(bytes).le(crc32c(bytes));
  EXPECT_EQ(*decode_tracked_state(bytes), state);
}

TEST(RoundUpXid, NeverNamesASpecialIdNorGoesBack) {
  EXPECT_EQ(round_up_xid(1024), 1024u);
  EXPECT_EQ(round_up_xid(1025), 2048u);
  EXPECT_EQ(round_up_xid(0xFFFFFFFF), 0x1'0000'0003u);
  rc::check([](uint64_t full) {
    full >>= 8;
    RC_ASSERT(round_up_xid(full) >= full);
    RC_ASSERT(round_up_xid(full) - full < kXidStep + kFirstNormalXid);
  });
}

// Every aligned position around a page and a segment boundary, and some far from both.
TEST(FabricatedCheckpoint, DecodesAndLiesInItsSegmentsAtEveryPosition) {
  Checkpoint tracked;
  tracked.next_xid = 777;
  tracked.oldest_active_xid = 12;
  for (uint64_t boundary : {kWalSegmentSize * 3, kWalSegmentSize * 3 + kWalBlockSize * 5}) {
    for (uint64_t s = boundary - 136; s <= boundary + 64; s += 8) {
      Lsn at(s);
      auto made = fabricate_checkpoint(kSystem, tracked, at, Lsn(s - 200));
      if (page_offset(at) != 0 && !is_record_position(at)) {
        EXPECT_TRUE(made.is(Code::Invalid));
        continue;
      }
      ASSERT_TRUE(made.ok()) << made.error().to_string();
      EXPECT_EQ(made->end, made->stream_begin + made->wal.size());
      WalStreamDecoder decoder(at, kSystem, Lsn(s - 200));
      decoder.feed(made->wal);
      DecodedRecord record;
      auto found = decoder.next(record);
      ASSERT_TRUE(found.ok() && *found);
      EXPECT_EQ(record.start_lsn, made->record);
      EXPECT_EQ(record.end_lsn, made->end);
      auto body = decode_checkpoint(record.main_data);
      EXPECT_EQ(body->redo, made->record);
      EXPECT_EQ(body->oldest_active_xid, 0u);
      EXPECT_EQ(body->next_xid, 777u);
      auto files = made->segments(kSystem);
      bool straddles = segment_number(at) != segment_number(made->end - 1);
      ASSERT_EQ(files.size(), straddles ? 2u : 1u);
      Bytes all = files[0].bytes();
      if (straddles) append(all, files[1].bytes());
      uint64_t offset = segment_offset(at);
      EXPECT_TRUE(
          std::equal(made->wal.begin(), made->wal.end(), all.begin() + static_cast<ptrdiff_t>(offset)));
      EXPECT_TRUE(read_page_header(all, segment_start(at), kSystem).ok());
      auto own_page = ByteView(all).subspan(segment_offset(page_start(at)));
      EXPECT_TRUE(read_page_header(own_page, page_start(at), kSystem).ok());
      EXPECT_EQ(files[0].name, segment_file_name(segment_number(at)));
    }
  }
}

TEST(FabricatedCheckpoint, ImpossiblePositionsAreRefused) {
  EXPECT_TRUE(fabricate_checkpoint(kSystem, {}, Lsn(0), Lsn(0)).is(Code::Invalid));
  EXPECT_TRUE(fabricate_checkpoint(kSystem, {}, Lsn(kWalSegmentSize + 44), Lsn(0)).is(Code::Invalid));
  EXPECT_TRUE(
      fabricate_checkpoint(kSystem, {}, Lsn(kWalSegmentSize), Lsn(kWalSegmentSize)).is(Code::Invalid));
}

}  // namespace
}  // namespace argon::pg
