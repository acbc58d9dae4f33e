// Records taken apart: the layout rules, broken lengths, images with holes and compression.

#include "core/pg/wal_record.h"

#include <gtest/gtest.h>
#include <lz4.h>
#include <zstd.h>

#include "core/base/codec.h"

namespace argon::pg {
namespace {

Bytes finish(Bytes body) {
  Bytes whole;
  Writer(whole).le<uint32_t>(static_cast<uint32_t>(kRecordHeader + body.size())).le<uint32_t>(733);
  Writer(whole).le<uint64_t>(0x1000).u8(0x80).u8(10).le<uint16_t>(0).le<uint32_t>(0).bytes(body);
  store_le(whole.data() + kRecordCrcOffset, compute_record_crc(whole));
  return whole;
}

void block_header(Writer& w, uint8_t id, uint8_t flags, uint16_t data) {
  w.u8(id).u8(flags).le<uint16_t>(data);
}

TEST(WalRecord, BlocksAndMainDataAreFound) {
  Bytes body;
  Writer w(body);
  w.u8(kBlockIdOrigin).le<uint16_t>(7).u8(kBlockIdToplevelXid).le<uint32_t>(99);
  block_header(w, 0, kBlockHasData | kBlockWillInit, 3);
  w.le<uint32_t>(1663).le<uint32_t>(5).le<uint32_t>(16384).le<uint32_t>(42);
  block_header(w, 2, kBlockSameRel | 2, 0);
  w.le<uint32_t>(1);
  w.u8(kBlockIdMainShort).u8(2).bytes(as_bytes("abc")).bytes(as_bytes("xy"));
  Bytes whole = finish(body);
  EXPECT_TRUE(check_record_crc(whole));
  auto r = decode_record(whole, Lsn(0x2000), Lsn(0x2100));
  ASSERT_TRUE(r.ok()) << r.error().to_string();
  EXPECT_EQ(r->origin, 7);
  EXPECT_EQ(r->toplevel_xid, 99u);
  EXPECT_EQ(r->xid, 733u);
  EXPECT_EQ(r->prev, Lsn(0x1000));
  EXPECT_TRUE(r->is(Rmgr::Heap, 0x80));
  ASSERT_EQ(r->blocks().size(), 2u);
  EXPECT_EQ(to_string(r->blocks()[0].tag()), "1663/5/16384:42");
  EXPECT_TRUE(r->blocks()[0].will_init);
  EXPECT_EQ(as_text(r->blocks()[0].data), "abc");
  ASSERT_NE(r->block(2), nullptr);
  EXPECT_EQ(r->block(1), nullptr);
  EXPECT_EQ(to_string(r->block(2)->tag()), "1663/5/16384_vm:1");
  EXPECT_EQ(as_text(r->main_data), "xy");
  whole[30] ^= 1;
  EXPECT_FALSE(check_record_crc(whole));
}

TEST(WalRecord, EveryCutOfARecordIsAnErrorThatNamesTheLsn) {
  Bytes body;
  Writer w(body);
  block_header(w, 0, kBlockHasData, 3);
  w.le<uint32_t>(1663).le<uint32_t>(5).le<uint32_t>(16384).le<uint32_t>(42);
  w.u8(kBlockIdMainLong).le<uint32_t>(2).bytes(as_bytes("abcxy"));
  for (size_t n = 0; n < body.size(); n++) {
    Bytes cut = finish(Bytes(body.begin(), body.begin() + static_cast<ptrdiff_t>(n)));
    auto r = decode_record(cut, Lsn(0x2000), Lsn(0x2100));
    // Well-formed by chance: no fragment at all, and a block whose three bytes of data are what follows.
    if (n == 0 || n == 23) continue;
    ASSERT_TRUE(r.is(Code::Corrupt)) << n;
    EXPECT_NE(r.error().message().find("0/2000"), std::string::npos);
  }
}

TEST(WalRecord, OutOfOrderAndOrphanedBlockReferencesAreRefused) {
  Bytes body;
  Writer w(body);
  block_header(w, 1, kBlockSameRel, 0);
  w.le<uint32_t>(1);
  EXPECT_TRUE(decode_record(finish(body), Lsn(8), Lsn(16)).is(Code::Corrupt));
  body.clear();
  for (int i = 0; i < 2; i++) {
    block_header(w, 1, 0, 0);
    w.le<uint32_t>(1663).le<uint32_t>(5).le<uint32_t>(16384).le<uint32_t>(42);
  }
  EXPECT_TRUE(decode_record(finish(body), Lsn(8), Lsn(16)).is(Code::Corrupt));
}

Bytes image_record(ByteView image, uint16_t hole_offset, uint16_t hole_length, uint8_t info) {
  Bytes body;
  Writer w(body);
  block_header(w, 0, kBlockHasImage, 0);
  w.le<uint16_t>(static_cast<uint16_t>(image.size())).le<uint16_t>(hole_offset).u8(info);
  if ((info & kImageCompressed) && (info & kImageHasHole)) w.le<uint16_t>(hole_length);
  w.le<uint32_t>(1663).le<uint32_t>(5).le<uint32_t>(16384).le<uint32_t>(0).bytes(image);
  return finish(body);
}

class Images : public testing::Test {
 protected:
  Images() : page(kBlockSize), packed() {
    for (size_t i = 0; i < kBlockSize; i++) page[i] = static_cast<uint8_t>(i < 100 ? i : (i / 50));
    for (size_t i = 100; i < 4000; i++) page[i] = 0;
    packed.assign(page.begin(), page.begin() + 100);
    packed.insert(packed.end(), page.begin() + 4000, page.end());
  }
  void expect_restored(const Bytes& whole) {
    auto r = decode_record(whole, Lsn(8), Lsn(16));
    ASSERT_TRUE(r.ok()) << r.error().to_string();
    Bytes out(kBlockSize, 0xAA);
    auto s = restore_image(r->blocks()[0], out);
    ASSERT_TRUE(s.ok()) << s.error().to_string();
    EXPECT_EQ(out, page);
  }
  Bytes page, packed;
};

TEST_F(Images, WholeAndWithAHole) {
  expect_restored(image_record(page, 0, 0, kImageApply));
  expect_restored(image_record(packed, 100, 3900, kImageApply | kImageHasHole));
}

TEST_F(Images, Lz4AndZstd) {
  Bytes out(kBlockSize);
  int n =
      LZ4_compress_default(reinterpret_cast<const char*>(packed.data()), reinterpret_cast<char*>(out.data()),
                           static_cast<int>(packed.size()), static_cast<int>(out.size()));
  expect_restored(image_record(ByteView(out).first(static_cast<size_t>(n)), 100, 3900,
                               kImageApply | kImageHasHole | kImageLz4));
  size_t z = ZSTD_compress(out.data(), out.size(), page.data(), page.size(), 3);
  expect_restored(image_record(ByteView(out).first(z), 0, 0, kImageApply | kImageZstd));
}

TEST_F(Images, PglzLiteralsAndOverlappingReferences) {
  // 'a', then a reference of length 18 + 255 at distance 1, over and over: a page of 'a'.
  Bytes in;
  size_t made = 0;
  while (made < kBlockSize) {
    in.push_back(made == 0 ? 0xFE : 0xFF);
    for (int item = 0; item < 8 && made < kBlockSize; item++) {
      if (made == 0) {
        in.push_back('a');
        made = 1;
        continue;
      }
      in.insert(in.end(), {0x0F, 0x01, 255});
      made += 273;
    }
  }
  page.assign(kBlockSize, 'a');
  expect_restored(image_record(in, 0, 0, kImageApply | kImagePglz));
}

TEST_F(Images, BrokenCompressionIsAnError) {
  Bytes garbage(50, 0xFF);
  for (uint8_t method : {kImagePglz, kImageLz4, kImageZstd}) {
    Bytes whole = image_record(garbage, 0, 0, method);
    auto r = decode_record(whole, Lsn(8), Lsn(16));
    ASSERT_TRUE(r.ok());
    Bytes out(kBlockSize);
    EXPECT_TRUE(restore_image(r->blocks()[0], out).is(Code::Corrupt));
  }
}

TEST_F(Images, ContradictoryHolesAreRefused) {
  EXPECT_TRUE(decode_record(image_record(page, 5, 0, kImageApply), Lsn(8), Lsn(16)).is(Code::Corrupt));
  EXPECT_TRUE(decode_record(image_record(packed, 0, 3900, kImageHasHole), Lsn(8), Lsn(16)).is(Code::Corrupt));
  EXPECT_TRUE(
      decode_record(image_record(packed, 8000, 3900, kImageHasHole), Lsn(8), Lsn(16)).is(Code::Corrupt));
  EXPECT_TRUE(decode_record(image_record(packed, 0, 0, 0), Lsn(8), Lsn(16)).is(Code::Corrupt));
}

TEST(Rel, TextFormGoesBothWaysAndPathsAreThoseOfADataDirectory) {
  RelTag tag{{1663, 5, 16384}, Fork::Vm};
  EXPECT_EQ(to_string(tag), "1663/5/16384_vm");
  EXPECT_EQ(*parse_rel_tag("1663/5/16384_vm"), tag);
  EXPECT_TRUE(parse_rel_tag("1663/5").is(Code::Invalid));
  EXPECT_TRUE(parse_rel_tag("1663/5/1_x").is(Code::Invalid));
  EXPECT_TRUE(parse_rel_tag("1663/5/99999999999").is(Code::Invalid));
  EXPECT_EQ(relation_path(tag), "base/5/16384_vm");
  EXPECT_EQ(relation_path({{1664, 0, 1260}, Fork::Main}), "global/1260");
  EXPECT_EQ(relation_path({{16385, 5, 16390}, Fork::Fsm}), "pg_tblspc/16385/PG_15_202209061/5/16390_fsm");
}

}  // namespace
}  // namespace argon::pg
