// Page primitives against a model, and apply() where the corpus does not reach: refusals.

#include "core/pg/redo/redo.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <map>

#include "core/pg/page.h"
#include "core/pg/redo/canonical.h"
#include "core/pg/redo/consistency_mask.h"
#include "core/pg/redo/mutation.h"
#include "core/pg/redo/page_ops.h"
#include "core/pg/wal_builder.h"

namespace argon::pg::redo {
namespace {

using PageBytes = std::array<uint8_t, kBlockSize>;

constexpr RelFileNode kRel{1663, 5, 16384};
const RelTag kMain{kRel, Fork::Main};

struct Built {
  Bytes raw;
  DecodedRecord record;
};

Built build(const RecordBuilder& builder) {
  Built built;
  built.raw = builder.build(Lsn(0x1000));
  auto record = decode_record(built.raw, Lsn(0x2000), Lsn(0x2100));
  CHECK(record.ok(), record.error().to_string());
  built.record = *record;
  return built;
}

// Bytes of an item: its length and content tell which one it is.
Bytes item_of(uint8_t tag, size_t size) {
  return Bytes(size, tag);
}

Bytes heap_insert_main(uint16_t number, uint8_t flags) {
  return {static_cast<uint8_t>(number), static_cast<uint8_t>(number >> 8), flags};
}

Bytes heap_tuple_data() {
  return {2, 0, 0, 8, 24, 0xAA, 1, 2, 3, 4};  // infomask2, infomask, hoff, one bitmap byte, 4 data bytes
}

RecordBuilder heap_insert(uint16_t number, bool init, uint8_t flags = 0) {
  RecordBuilder b(Rmgr::Heap, init ? 0x80 : 0x00, 733);
  b.main(heap_insert_main(number, flags)).block(0, kMain, 7, init).data(heap_tuple_data());
  return b;
}

TEST(PageOps, FreshPageIsEmptyAndSane) {
  PageBytes bytes;
  bytes.fill(0xEE);
  Page page(bytes);
  page_init(page, 13);
  EXPECT_TRUE(page.header_sane());
  EXPECT_EQ(page.special_bytes(), 16u);
  EXPECT_EQ(page.max_offset(), 0);
  EXPECT_EQ(page_exact_free_space(page), kPageBytes - 16 - kPageHeaderBytes);
  EXPECT_TRUE(check_page(bytes, 0, false).ok());
}

TEST(PageOps, AddItemRefusesWhatTheServerWouldPanicOn) {
  PageBytes bytes;
  Page page(bytes);
  page_init(page, 0);
  EXPECT_TRUE(page_add_item(page, item_of(1, 10), 2, kAddDefault).is(Code::Corrupt));  // beyond the next
  ASSERT_TRUE(page_add_item(page, item_of(1, 10), 1, kAddDefault).ok());
  EXPECT_TRUE(page_add_item(page, item_of(2, 10), 1, kAddOverwrite).is(Code::Corrupt));  // in use
  EXPECT_TRUE(page_add_item(page, item_of(2, 8160), 2, kAddDefault).is(Code::Corrupt));  // no room
  page.set_lower(8000);
  EXPECT_TRUE(page_add_item(page, item_of(2, 10), 0, kAddHeap).is(Code::Corrupt));  // too many lines
  page.set_lower(20);
  EXPECT_TRUE(page_add_item(page, item_of(2, 10), 0, kAddDefault).is(Code::Corrupt));  // header
}

TEST(PageOps, FreeSlotIsFoundOnlyWhereTheHintSaysSo) {
  PageBytes bytes;
  Page page(bytes);
  page_init(page, 0);
  for (uint8_t i = 1; i <= 3; i++) ASSERT_TRUE(page_add_item(page, item_of(i, 16), 0, kAddDefault).ok());
  page.set_item(2, ItemId{});
  EXPECT_EQ(*page_add_item(page, item_of(9, 16), 0, kAddDefault), 4);
  page.set_flag(Page::kHasFreeLines);
  EXPECT_EQ(*page_add_item(page, item_of(8, 16), 0, kAddDefault), 2);
  EXPECT_EQ(*page_add_item(page, item_of(7, 16), 0, kAddDefault), 5);
  EXPECT_FALSE(page.has_flag(Page::kHasFreeLines)) << "the hint was wrong and must be gone";
}

// Items by number, as an index page keeps them: no gaps.
using Model = std::vector<Bytes>;

void expect_page_is(Page page, const Model& model) {
  RC_ASSERT(page.header_sane());
  RC_ASSERT(page.max_offset() == model.size());
  size_t bytes = 0;
  for (size_t i = 0; i < model.size(); i++) {
    ByteSpan item = page.stored_item(static_cast<uint32_t>(i + 1), 1);
    RC_ASSERT(Bytes(item.begin(), item.end()) == model[i]);
    bytes += align8(model[i].size());
  }
  RC_ASSERT(page.upper() == page.special() - bytes);
}

RC_GTEST_PROP(PageOps, IndexPageBehavesAsAList, ()) {
  PageBytes bytes;
  Page page(bytes);
  page_init(page, 16);
  Model model;
  int steps = *rc::gen::inRange(1, 60);
  for (int i = 0; i < steps; i++) {
    int action = *rc::gen::inRange(0, 5);
    auto tag = static_cast<uint8_t>(*rc::gen::inRange(1, 255));
    auto size = static_cast<size_t>(*rc::gen::inRange(1, 300));
    auto at = static_cast<size_t>(*rc::gen::inRange(0, static_cast<int>(model.size()) + 1));
    if (action <= 1) {
      bool fits = page_exact_free_space(page) >= align8(size) + kItemIdBytes;
      auto added = page_add_item(page, item_of(tag, size), static_cast<uint16_t>(at + 1), kAddDefault);
      RC_ASSERT(added.ok() == fits);
      if (added.ok()) model.insert(model.begin() + static_cast<ptrdiff_t>(at), item_of(tag, size));
    } else if (model.empty() || at == model.size()) {
      RC_ASSERT(!page_index_tuple_delete(page, static_cast<uint16_t>(model.size() + 1)).ok());
    } else if (action == 2) {
      RC_ASSERT(page_index_tuple_delete(page, static_cast<uint16_t>(at + 1)).ok());
      model.erase(model.begin() + static_cast<ptrdiff_t>(at));
    } else if (action == 3) {
      if (page_index_tuple_overwrite(page, static_cast<uint16_t>(at + 1), item_of(tag, size)).ok())
        model[at] = item_of(tag, size);
    } else {
      Bytes numbers;
      Model kept;
      for (size_t n = 0; n < model.size(); n++) {
        if ((n * 7 + tag) % 3 == 0) {
          numbers.push_back(static_cast<uint8_t>(n + 1));
          numbers.push_back(static_cast<uint8_t>((n + 1) >> 8));
        } else {
          kept.push_back(model[n]);
        }
      }
      RC_ASSERT(page_index_multi_delete(page, numbers).ok());
      model = kept;
    }
    expect_page_is(page, model);
  }
}

RC_GTEST_PROP(PageOps, RepairKeepsUsedItemsAndCutsTheEnd, ()) {
  PageBytes bytes;
  Page page(bytes);
  page_init(page, 0);
  std::map<uint32_t, Bytes> live;
  int count = *rc::gen::inRange(1, 40);
  for (int i = 1; i <= count; i++) {
    Bytes item = item_of(static_cast<uint8_t>(i), static_cast<size_t>(*rc::gen::inRange(24, 180)));
    RC_ASSERT(page_add_item(page, item, static_cast<uint16_t>(i), kAddHeap).ok());
    live[static_cast<uint32_t>(i)] = item;
  }
  uint32_t last_used = 0;
  for (uint32_t n = 1; n <= static_cast<uint32_t>(count); n++) {
    int fate = *rc::gen::inRange(0, 4);
    if (fate == 0) page.set_item(n, ItemId{});
    if (fate == 1) page.set_item(n, ItemId::make(ItemId::kDead, 0, 0));
    if (fate <= 1) live.erase(n);
    if (fate != 0) last_used = n;
  }
  RC_ASSERT(page_repair_fragmentation(page).ok());
  RC_ASSERT(page.max_offset() == last_used);
  size_t size = 0;
  for (const auto& [n, item] : live) {
    ByteSpan stored = page.normal_item(n, 1);
    RC_ASSERT(Bytes(stored.begin(), stored.end()) == item);
    size += align8(item.size());
  }
  RC_ASSERT(page.upper() == kPageBytes - size);
}

TEST(Apply, InsertMakesATupleThatTheServerWouldRead) {
  PageBytes page;
  page.fill(0xCC);
  Built b = build(heap_insert(1, true));
  ASSERT_TRUE(apply(b.record, b.record.blocks()[0], page, {}).ok());
  EXPECT_EQ(page_lsn(page), Lsn(0x2100));
  ByteView tuple = item(page, 1);
  ASSERT_EQ(tuple.size(), 23u + 5);
  EXPECT_EQ(load_le<uint32_t>(tuple.data()), 733u);         // xmin
  EXPECT_EQ(load_le<uint16_t>(tuple.data() + 14), 7);       // ctid: block
  EXPECT_EQ(load_le<uint16_t>(tuple.data() + 16), 1);       // ctid: item
  EXPECT_EQ(load_le<uint16_t>(tuple.data() + 20), 0x0800);  // infomask
  EXPECT_EQ(tuple[23], 0xAA);
}

TEST(Apply, PageThatIsNewerIsLeftAlone) {
  PageBytes page;
  init_page(page);
  set_page_lsn(page, Lsn(0x2100));
  PageBytes before = page;
  Built b = build(heap_insert(1, false));
  ASSERT_TRUE(apply(b.record, b.record.blocks()[0], page, {}).ok());
  EXPECT_EQ(page, before);
}

TEST(Apply, RecordOnAPageThatDoesNotFitIsAnErrorThatNamesBoth) {
  PageBytes page;
  init_page(page);
  Built b = build(heap_insert(9, false));
  Status status = apply(b.record, b.record.blocks()[0], page, {});
  ASSERT_TRUE(status.error().code() == Code::Corrupt);
  EXPECT_NE(status.error().message().find("Heap/INSERT at 0/2000"), std::string::npos)
      << status.error().message();
  EXPECT_NE(status.error().message().find("1663/5/16384:7"), std::string::npos) << status.error().message();
}

TEST(Apply, ZeroPageIsRefusedUnlessTheRecordMakesIt) {
  PageBytes page{};
  Built b = build(heap_insert(1, false));
  EXPECT_EQ(apply(b.record, b.record.blocks()[0], page, {}).error().code(), Code::Corrupt);
  EXPECT_FALSE(makes_page(b.record, b.record.blocks()[0]));
  Built made = build(heap_insert(1, true));
  EXPECT_TRUE(makes_page(made.record, made.record.blocks()[0]));
  EXPECT_TRUE(apply(made.record, made.record.blocks()[0], page, {}).ok());
}

TEST(Apply, UnknownResourceManagerIsUnsupportedAndNamed) {
  PageBytes page;
  init_page(page);
  RecordBuilder extension(static_cast<Rmgr>(200), 0x30, 733);
  extension.main(as_bytes("x")).block(0, kMain, 7);
  Built b = build(extension);
  Status status = apply(b.record, b.record.blocks()[0], page, {});
  EXPECT_EQ(status.error().code(), Code::Unsupported);
  EXPECT_NE(status.error().message().find("custom/UNKNOWN (30)"), std::string::npos)
      << status.error().message();
}

TEST(Apply, AnotherMajorVersionIsUnsupportedAndNamed) {
  PageBytes page;
  init_page(page);
  Built b = build(heap_insert(1, true));
  RedoSettings settings;
  settings.major = 17;
  Status status = apply(b.record, b.record.blocks()[0], page, settings);
  EXPECT_EQ(status.error().code(), Code::Unsupported);
  EXPECT_NE(status.error().message().find("PostgreSQL 17"), std::string::npos) << status.error().message();
}

TEST(Apply, ImageIsTakenWhateverThePageHeldAndGetsTheRecordsLsn) {
  PageBytes image;
  init_page(image);
  ASSERT_EQ(add_item(image, as_bytes("an item of a page")), 1);
  set_page_lsn(image, Lsn(0x900));
  for (ImageCompression compression :
       {ImageCompression::None, ImageCompression::Lz4, ImageCompression::Zstd}) {
    RecordBuilder fpi(Rmgr::Xlog, 0xB0);
    fpi.block(0, kMain, 7).image(image, true, true, compression);
    Built b = build(fpi);
    PageBytes page;
    page.fill(0x77);
    ASSERT_TRUE(apply(b.record, b.record.blocks()[0], page, {}).ok());
    PageBytes expected = image;
    set_page_lsn(expected, Lsn(0x2100));
    EXPECT_EQ(page, expected);
  }
}

struct Visible {
  PageBytes map{};
  PageBytes heap;
};

Visible apply_visible(const RedoSettings& settings, uint8_t flags) {
  RecordBuilder b(Rmgr::Heap2, 0x40);
  Bytes main{0, 0, 0, 0, flags};
  b.main(main).block(0, {kRel, Fork::Vm}, 0).block(1, kMain, 7);
  Built built = build(b);
  Visible v;
  init_page(v.heap);
  CHECK(apply(built.record, built.record.blocks()[0], v.map, settings).ok());
  CHECK(apply(built.record, built.record.blocks()[1], v.heap, settings).ok());
  return v;
}

TEST(Apply, VisibleMovesTheHeapPagesLsnOnlyWhereHintBitsAreLogged) {
  Visible plain = apply_visible({}, kVmBothBits);
  EXPECT_EQ(page_lsn(plain.heap), Lsn(0));
  EXPECT_TRUE(page_flags(plain.heap) & page::kAllVisible);
  EXPECT_EQ(plain.map[24 + 7 / 4], 3 << (7 % 4 * 2));
  EXPECT_EQ(page_lsn(plain.map), Lsn(0x2100));
  Visible hints = apply_visible(
      {.data_checksums = false, .wal_log_hints = true, .track_commit_timestamp = false}, kVmAllVisible);
  EXPECT_EQ(page_lsn(hints.heap), Lsn(0x2100));
  Visible nothing_new = apply_visible({}, 0);
  EXPECT_EQ(page_lsn(nothing_new.map), Lsn(0)) << "no bit changed";
}

TEST(Canonical, HoleAndPaddingAreZeroAndTheChecksumIsRight) {
  PageBytes page;
  init_page(page);
  ASSERT_EQ(add_item(page, as_bytes("twenty-nine bytes of a tuple.")), 1);
  page[100] = 0x55;
  page[8192 - 3 + 2] = 0x66;  // in the padding
  BlockTag tag{kMain, 7};
  RedoSettings checksums;
  checksums.data_checksums = true;
  canonicalize(tag, page, checksums, true);
  EXPECT_EQ(page[100], 0);
  EXPECT_EQ(page[8191], 0);
  EXPECT_TRUE(check_page(page, 7, true).ok());
  canonicalize(tag, page, {}, true);
  EXPECT_EQ(page_checksum(page), 0);
}

TEST(Canonical, PagesOfTheMapsAreKept) {
  PageBytes page;
  init_page(page);
  page[5000] = 0x55;
  PageBytes before = page;
  canonicalize({{kRel, Fork::Vm}, 0}, page, {}, false);
  EXPECT_EQ(page, before);
}

TEST(Canonical, AnEmptyPageIsCutOnlyWhereItIsKnownToBeTheHeaps) {
  PageBytes page;
  init_page(page);
  page[5000] = 0x55;
  PageBytes before = page;
  canonicalize({kMain, 7}, page, {}, false);
  EXPECT_EQ(page, before) << "the data of an extension";
  canonicalize({kMain, 7}, page, {}, true);
  EXPECT_EQ(page[5000], 0) << "what pruning left";
}

// Any bytes as a page, any bytes as a record: an error at most, and no byte outside the page.
RC_GTEST_PROP(Apply, ArbitraryRecordOnArbitraryPageEndsInAResult, ()) {
  auto rmgr = *rc::gen::element(Rmgr::Xlog, Rmgr::Heap, Rmgr::Heap2, Rmgr::Btree, Rmgr::Hash, Rmgr::Gin,
                                Rmgr::Gist, Rmgr::Sequence, Rmgr::SpGist, Rmgr::Brin, Rmgr::Generic);
  auto type = static_cast<uint8_t>(*rc::gen::inRange(0, 16) << 4);
  auto main = *rc::gen::container<Bytes>(rc::gen::arbitrary<uint8_t>());
  auto data = *rc::gen::container<Bytes>(rc::gen::arbitrary<uint8_t>());
  auto special = *rc::gen::element<size_t>(0, 8, 16);
  int blocks = *rc::gen::inRange(1, 5);
  bool init = *rc::gen::arbitrary<bool>();
  RecordBuilder b(rmgr, type, 733);
  b.main(main);
  for (int id = 0; id < blocks; id++)
    b.block(static_cast<uint8_t>(id), kMain, static_cast<BlockNumber>(id), init).data(data);
  Built built = build(b);
  std::array<uint8_t, kBlockSize + 64> memory;
  for (const DecodedBlock& block : built.record.blocks()) {
    memory.fill(0xA5);
    ByteSpan page(memory.data() + 32, kBlockSize);
    init_page(page, special);
    for (int i = 0; i < 6; i++) add_item(page, data.empty() ? as_bytes("item") : ByteView(data));
    Status status = apply(built.record, block, page, {});
    ignore_result(std::move(status));  // only that it came back
    ignore_result(mask_for_consistency(built.record.rmid, block.tag(), page));
    for (size_t i = 0; i < 32; i++) {
      RC_ASSERT(memory[i] == 0xA5);
      RC_ASSERT(memory[kBlockSize + 32 + i] == 0xA5);
    }
  }
}

}  // namespace
}  // namespace argon::pg::redo
