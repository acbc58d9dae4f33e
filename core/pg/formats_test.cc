// Pages, relation maps, pg_control and CheckPoint: round trips, refusals, and agreement with the
// stock server's own files.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/base/codec.h"
#include "core/base/random.h"
#include "core/pg/control_file.h"
#include "core/pg/page.h"
#include "core/pg/relmap.h"

namespace argon::pg {
namespace {

Checkpoint random_checkpoint(Random& r) {
  Checkpoint c;
  c.redo = Lsn(r.next());
  c.full_page_writes = r.chance({1, 2});
  c.next_xid = r.next();
  c.next_oid = static_cast<Oid>(r.next());
  c.next_multi = static_cast<uint32_t>(r.next());
  c.next_multi_offset = static_cast<uint32_t>(r.next());
  c.oldest_xid = static_cast<Xid>(r.next());
  c.oldest_multi = static_cast<Xid>(r.next());
  c.time = static_cast<int64_t>(r.next());
  c.oldest_commit_ts_xid = static_cast<Xid>(r.next());
  c.newest_commit_ts_xid = static_cast<Xid>(r.next());
  c.oldest_active_xid = static_cast<Xid>(r.next());
  return c;
}

ControlFile random_control(Random& r) {
  ControlFile c;
  c.system_id = r.next();
  c.state = static_cast<ClusterState>(r.below(7));
  c.time = static_cast<int64_t>(r.next());
  c.checkpoint_lsn = Lsn(r.next());
  c.checkpoint = random_checkpoint(r);
  c.backup_start = Lsn(r.next());
  c.backup_end_required = r.chance({1, 2});
  c.min_recovery_tli = static_cast<uint32_t>(r.next());
  c.settings.wal_level = static_cast<WalLevel>(r.below(3));
  c.settings.wal_log_hints = r.chance({1, 2});
  c.settings.max_locks_per_xact = static_cast<uint32_t>(r.next());
  c.settings.track_commit_timestamp = r.chance({1, 2});
  c.data_checksum_version = static_cast<uint32_t>(r.below(2));
  r.fill(c.nonce);
  return c;
}

TEST(ControlFile, EncodeAndDecodeGiveTheSame) {
  rc::check([](uint64_t seed) {
    Random random(seed);
    ControlFile control = random_control(random);
    Bytes file = encode_control_file(control);
    RC_ASSERT(file.size() == kControlFileSize);
    auto back = decode_control_file(file);
    if (!back.ok()) RC_FAIL(back.error().to_string());
    RC_ASSERT(*back == control);
    RC_ASSERT(encode_control_file(*back) == file);
  });
}

TEST(ControlFile, BadInputAFlippedBitIsNoticed) {
  rc::check([](uint64_t seed) {
    Random random(seed);
    Bytes file = encode_control_file(random_control(random));
    file[random.below(292)] ^= static_cast<uint8_t>(1u << random.below(8));
    RC_ASSERT(!decode_control_file(file).ok());
  });
}

TEST(ControlFile, AnotherVersionAndAShortFileAreNamed) {
  Random random(1);
  Bytes file = encode_control_file(random_control(random));
  EXPECT_TRUE(decode_control_file(ByteView(file).first(100)).is(Code::Corrupt));
  store_le<uint32_t>(file.data() + 8, 1700);
  auto r = decode_control_file(file);
  ASSERT_TRUE(r.is(Code::Unsupported));
  EXPECT_NE(r.error().message().find("1700"), std::string::npos);
}

TEST(Checkpoint, EncodeAndDecodeGiveTheSame) {
  rc::check([](uint64_t seed) {
    Random random(seed);
    Checkpoint c = random_checkpoint(random);
    Bytes out;
    encode_checkpoint(out, c);
    RC_ASSERT(out.size() == kCheckpointSize);
    RC_ASSERT(*decode_checkpoint(out) == c);
  });
  EXPECT_TRUE(decode_checkpoint(Bytes(87)).is(Code::Corrupt));
}

TEST(RelMap, EncodeAndDecodeGiveTheSameAndDamageIsNoticed) {
  RelMap map;
  for (Oid i = 0; i < 62; i++) map.entries.push_back({1000 + i, 2000 + i});
  Bytes file = encode_relmap(map);
  ASSERT_EQ(file.size(), kRelMapSize);
  EXPECT_EQ(*decode_relmap(file), map);
  EXPECT_EQ(map.find(1061), 2061u);
  EXPECT_EQ(map.find(7), 0u);
  for (size_t i = 0; i < 508; i += 13) {
    Bytes bad = file;
    bad[i] ^= 4;
    EXPECT_TRUE(decode_relmap(bad).is(Code::Corrupt)) << i;
  }
}

TEST(Page, ItemsLieWhereTheirLinesSay) {
  Bytes page(kBlockSize);
  EXPECT_TRUE(check_page(page, 0, true).ok());
  EXPECT_TRUE(page_is_new(page));
  init_page(page, 16);
  EXPECT_EQ(page_special(page), kBlockSize - 16);
  uint16_t lines = 0;
  while (add_item(page, Bytes(101, static_cast<uint8_t>(lines))) != 0) lines++;
  EXPECT_EQ(lines, (kBlockSize - 16 - 24) / (104 + 4));
  EXPECT_EQ(line_count(page), lines);
  for (uint16_t i = 1; i <= lines; i++)
    EXPECT_EQ(to_bytes(item(page, i)), Bytes(101, static_cast<uint8_t>(i - 1)));
  set_line_pointer(page, 3, {5, LineState::Redirect, 0});
  EXPECT_EQ(line_pointer(page, 3), (LinePointer{5, LineState::Redirect, 0}));
  set_page_lsn(page, Lsn(0x1122334455667788));
  EXPECT_EQ(page_lsn(page), Lsn(0x1122334455667788));
  EXPECT_TRUE(check_page(page, 7, false).ok());
}

TEST(Page, AWrongChecksumBlockOrHeaderIsRefused) {
  Bytes page(kBlockSize);
  init_page(page);
  add_item(page, Bytes(50, 1));
  set_page_checksum(page, 7);
  EXPECT_TRUE(check_page(page, 7, true).ok());
  EXPECT_TRUE(check_page(page, 8, true).is(Code::Corrupt));
  Bytes flipped = page;
  flipped[8000] ^= 1;
  EXPECT_TRUE(check_page(flipped, 7, true).is(Code::Corrupt));
  Bytes bounds = page;
  store_le<uint16_t>(bounds.data() + page::kLower, 9000);
  EXPECT_TRUE(check_page(bounds, 7, false).is(Code::Corrupt));
  EXPECT_EQ(line_count(bounds), 0);
  Bytes garbage(kBlockSize);
  garbage[5000] = 1;
  EXPECT_TRUE(check_page(garbage, 7, false).is(Code::Corrupt));
}

}  // namespace
}  // namespace argon::pg
