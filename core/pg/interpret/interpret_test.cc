// Records interpreted, batches of them, and what shards get of these.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/pg/interpret/batch.h"
#include "core/pg/page.h"
#include "core/pg/record_makers.h"
#include "core/pg/record_types.h"
#include "core/pg/wal_builder.h"

namespace argon::pg {
namespace {

const RelTag kMain{{1663, 5, 16384}, Fork::Main};
constexpr Lsn kStart{0x1000028};

Bytes a_tuple() {
  Bytes bytes(32);
  bytes[22] = 24;  // t_hoff
  return bytes;
}

RecordBuilder an_image(BlockNumber block, Bytes& page) {
  page.resize(kBlockSize);
  init_page(page, 0);
  std::array<ByteView, 1> pages{page};
  return full_page_images(kMain, block, pages);
}

// What is said of a record, and the bytes it borrows from.
struct Said {
  Bytes bytes;
  Interpreter interpreter;
  InterpretedRecord record;

  explicit Said(const RecordBuilder& builder, Lsn start = kStart) : bytes(builder.build(Lsn(0))) {
    auto decoded = decode_record(bytes, start, start + (bytes.size() + 7) / 8 * 8);
    EXPECT_TRUE(decoded.ok());
    Status done = interpreter.interpret(*decoded, record);
    EXPECT_TRUE(done.ok());
  }
};

std::string text_of(const InterpretedRecord& record) {
  std::string text = std::to_string(record.xid) + (record.has_effects ? " effects" : "") +
                     (record.record.empty() ? "" : " record") + ":";
  for (const InterpretedItem& item : record.items)
    text += " " + to_string(item.block) + "=" + std::to_string(static_cast<int>(item.kind)) +
            (item.content.empty() ? "" : "/" + std::to_string(item.content.size()));
  return text;
}

TEST(Interpret, BlocksGetTheRecordAnImageOrAMutation) {
  Bytes page;
  EXPECT_EQ(text_of(Said(heap_insert(700, {kMain, 3, 1}, a_tuple(), true)).record),
            "700 record: 1663/5/16384:3=2");
  EXPECT_EQ(text_of(Said(heap_delete(700, {kMain, 3, 1}, kAllVisibleCleared)).record),
            "700 record: 1663/5/16384:3=1 1663/5/16384_vm:0=4/6");
  EXPECT_EQ(text_of(Said(an_image(7, page)).record), "0: 1663/5/16384:7=3/8192");
}

TEST(Interpret, WhatGoesBeyondBlocksIsTheRecord) {
  EXPECT_EQ(text_of(Said(xact_commit(700, 1)).record), "700 effects record:");
  EXPECT_EQ(text_of(Said(smgr_truncate(700, kMain.node, 2)).record), "700 effects record:");
  RecordBuilder of_a_subtransaction = heap_delete(701, {kMain, 3, 1});
  of_a_subtransaction.toplevel_xid(700);
  EXPECT_EQ(text_of(Said(of_a_subtransaction).record), "701 effects record: 1663/5/16384:3=1");
  RecordBuilder message(Rmgr::LogicalMessage, 0, 702);
  message.main(Bytes(1000));
  EXPECT_EQ(text_of(Said(message).record), "702:");
}

// A batch of records as a table loads them, and some that end transactions.
Bytes a_batch(const std::vector<uint8_t>& choices) {
  BatchWriter writer(kStart);
  Lsn at = kStart;
  Xid xid = 700;
  for (uint8_t choice : choices) {
    BlockNumber block = choice / 4 * 1000;
    RecordBuilder builder = choice % 8 == 0 ? xact_commit(xid++, 1)
                            : choice % 4 == 3
                                ? heap_delete(xid, {kMain, block, 1}, kAllVisibleCleared)
                                : heap_insert(xid, {kMain, block, 1}, a_tuple(), choice % 4 == 1);
    Said said(builder, at);
    writer.add(said.record);
    at = said.record.end;
  }
  return writer.finish();
}

std::vector<std::pair<Lsn, std::string>> texts_of(ByteView body) {
  std::vector<std::pair<Lsn, std::string>> texts;
  auto in = BatchReader::open(body);
  EXPECT_TRUE(in.ok());
  InterpretedRecord record;
  for (;;) {
    auto found = in->next(record);
    EXPECT_TRUE(found.ok());
    if (!found.ok() || !*found) return texts;
    texts.emplace_back(record.end, text_of(record));
  }
}

RC_GTEST_PROP(Batch, TravelsAsItWasAndNoChangeOfItIsTakenForAnother,
              (const std::vector<uint8_t>& choices, bool zstd)) {
  Bytes body = a_batch(choices);
  Bytes payload = seal_batch(body, zstd);
  Bytes buffer;
  auto opened = open_batch(payload, buffer);
  RC_ASSERT(opened.ok() && to_bytes(*opened) == body);
  RC_ASSERT(texts_of(body).size() == choices.size());
  payload[*rc::gen::inRange<size_t>(0, payload.size())] ^= 1 << *rc::gen::inRange(0, 8);
  opened = open_batch(payload, buffer);
  bool as_it_was = !opened.ok() || to_bytes(*opened) == body;
  RC_ASSERT(as_it_was);
}

RC_GTEST_PROP(Batch, EachValueIsOnOneShardAndEffectsOnAll, (const std::vector<uint8_t>& choices)) {
  Bytes body = a_batch(choices);
  uint32_t count = *rc::gen::inRange<uint32_t>(1, 6);
  std::map<std::pair<Lsn, BlockTag>, int> found;
  std::map<Lsn, uint32_t> effects;
  auto each_value = [](ByteView of, const auto& take) {
    auto in = BatchReader::open(of);
    InterpretedRecord record;
    for (;;) {
      auto more = in->next(record);
      RC_ASSERT(more.ok());
      if (!*more) return in->header();
      take(record);
    }
  };
  BatchHeader whole = each_value(body, [&](const InterpretedRecord& record) {
    for (const InterpretedItem& item : record.items) found[{record.end, item.block}]++;
    if (record.has_effects) effects[record.end] += count;
  });
  for (uint32_t number = 0; number < count; number++) {
    ShardIdentity shard{number, count, 1000};
    auto part = batch_for(body, shard);
    RC_ASSERT(part.ok());
    BatchHeader header = each_value(*part, [&](const InterpretedRecord& record) {
      for (const InterpretedItem& item : record.items) {
        RC_ASSERT(shard.owns(item.block) == (item.kind != ItemKind::Observed));
        if (shard.owns(item.block)) found[{record.end, item.block}]--;
      }
      if (record.has_effects) effects[record.end]--;
    });
    RC_ASSERT(header == whole);
  }
  for (const auto& [where, left] : found) RC_ASSERT(left == 0);
  for (const auto& [where, left] : effects) RC_ASSERT(left == 0u);
}

RC_GTEST_PROP(Batch, AnyBytesAreABatchOrAnError, (const Bytes& bytes)) {
  Bytes buffer;
  (void)open_batch(bytes, buffer).ok();
  auto in = BatchReader::open(bytes);
  InterpretedRecord record;
  while (in.ok()) {
    auto found = in->next(record);
    if (!found.ok() || !*found) break;
  }
}

TEST(Shard, StripesOfARelationAreSpreadAndForksOfABlockStayTogether) {
  std::array<int, 4> blocks{};
  for (BlockNumber block = 0; block < 400 * kStripeBlocks; block += kStripeBlocks)
    for (uint32_t number = 0; number < 4; number++) {
      ShardIdentity shard{number, 4};
      bool own = shard.owns({kMain, block});
      blocks[number] += own ? 1 : 0;
      EXPECT_EQ(own, shard.owns({kMain, block + kStripeBlocks - 1}));
      EXPECT_EQ(own, shard.owns({{{1664, 9, kMain.node.rel}, Fork::Vm}, block}));
    }
  for (int n : blocks) EXPECT_GT(n, 60);
}

TEST(Shard, BadInputNumbersOutOfRangeAreNamed) {
  EXPECT_TRUE((ShardIdentity{3, 4}.check().ok()));
  for (ShardIdentity wrong :
       {ShardIdentity{4, 4}, ShardIdentity{0, 0}, ShardIdentity{0, 300}, ShardIdentity{0, 2, 0}})
    EXPECT_TRUE(wrong.check().is(Code::Invalid));
}

}  // namespace
}  // namespace argon::pg
