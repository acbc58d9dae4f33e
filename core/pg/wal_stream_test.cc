// The stream decoder and the builder: what is built decodes to the same, whatever the positions and
// feeds; what is broken is refused at the right place; the end of valid WAL is found.

#include "core/pg/wal_stream.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/base/codec.h"
#include "core/base/random.h"
#include "core/pg/record_types.h"
#include "core/pg/wal_builder.h"

namespace argon::pg {
namespace {

constexpr WalIdentity kIdentity{0x1122334455667788, 1};
constexpr RelTag kRel{{1663, 5, 16384}, Fork::Main};

Bytes random_bytes(Random& random, size_t n) {
  Bytes out(n);
  random.fill(out);
  return out;
}

Bytes random_page(Random& random) {
  Bytes page = random_bytes(random, kBlockSize);
  uint64_t lower = random.between(24, 4000);
  uint64_t upper = random.between(lower, kBlockSize);
  store_le(page.data() + 12, static_cast<uint16_t>(lower));
  store_le(page.data() + 14, static_cast<uint16_t>(upper));
  std::fill(page.begin() + static_cast<ptrdiff_t>(lower), page.begin() + static_cast<ptrdiff_t>(upper), 0);
  return page;
}

struct Made {
  Bytes whole;
  Lsn start, end;
};

RecordBuilder random_record(Random& random) {
  RecordBuilder b(Rmgr::Heap, heap::kInsert, static_cast<Xid>(random.between(3, 1000)));
  if (random.chance({1, 8})) b.origin(3);
  uint64_t blocks = random.below(4);
  for (uint64_t i = 0; i < blocks; i++) {
    auto fork = static_cast<Fork>(random.below(4));
    b.block(static_cast<uint8_t>(i * 2), {kRel.node, fork}, static_cast<BlockNumber>(random.below(100)),
            random.chance({1, 3}));
    if (random.chance({1, 2})) b.data(random_bytes(random, random.below(300)));
    if (random.chance({1, 6})) b.image(random_page(random));
  }
  uint64_t main = random.chance({1, 20}) ? random.below(60000) : random.below(400);
  b.main(random_bytes(random, main));
  return b;
}

// `n` records from `position` on.
std::vector<Made> make_stream(Random& random, size_t n, WalWriter& writer) {
  std::vector<Made> made;
  for (size_t i = 0; i < n; i++) {
    Bytes whole = random_record(random).build(writer.previous());
    PlacedRecord placed = writer.append_whole(whole);
    made.push_back({std::move(whole), placed.start, placed.end});
  }
  return made;
}

Lsn random_position(Random& random) {
  // Near a segment boundary, near a page boundary, anywhere.
  uint64_t base = random.between(1, 4) * kWalSegmentSize;
  uint64_t kind = random.below(3);
  if (kind == 1) base += random.between(1, 5) * kWalBlockSize;
  if (kind == 2) base += random.below(kWalSegmentSize);
  base = align8(base - random.below(256));
  return page_offset(Lsn(base)) < page_header_size(Lsn(base)) ? page_start(Lsn(base)) : Lsn(base);
}

TEST(WalStream, WhatIsBuiltDecodesToTheSameWhateverTheFeeds) {
  rc::check([](uint64_t seed) {
    Random random(seed);
    Lsn position = random_position(random);
    WalWriter writer(kIdentity, position, Lsn(8));
    std::vector<Made> made = make_stream(random, random.between(1, 30), writer);
    if (random.chance({1, 10})) {
      Bytes whole = RecordBuilder(Rmgr::Xlog, xlog::kSwitch).build(writer.previous());
      PlacedRecord s = writer.append_switch();
      made.push_back({whole, s.start, s.end});
      for (auto& m : make_stream(random, 3, writer)) made.push_back(m);
    }
    Bytes stream = writer.take();
    WalStreamDecoder decoder(position, kIdentity, Lsn(8));
    uint64_t largest = random.log_uniform(1 + stream.size() / 4000, stream.size() + 1);
    size_t fed = 0, seen = 0;
    WalRecord r;
    while (fed < stream.size()) {
      uint64_t n = std::min<uint64_t>(random.between(1, largest), stream.size() - fed);
      decoder.feed(ByteView(stream).subspan(fed, n));
      fed += n;
      for (;;) {
        auto found = decoder.next(r);
        if (!found.ok()) RC_FAIL(found.error().to_string());
        if (!*found) break;
        RC_ASSERT(seen < made.size());
        RC_ASSERT(r.start == made[seen].start);
        RC_ASSERT(r.end == made[seen].end);
        RC_ASSERT(to_bytes(r.bytes) == made[seen].whole);
        DecodedRecord decoded;
        RC_ASSERT(decode_record(r.bytes, r.start, r.end, decoded).ok());
        seen++;
      }
      RC_ASSERT(decoder.position() == position + fed);
    }
    RC_ASSERT(seen == made.size());
    RC_ASSERT(decoder.last_end() == writer.position());
    RC_ASSERT(*decoder.last_record() == writer.previous());
  });
}

TEST(WalStream, RecordEndIsWhereTheWriterPutsIt) {
  rc::check([](uint64_t seed) {
    Random random(seed);
    Lsn position = random_position(random);
    WalWriter writer(kIdentity, position, Lsn(8));
    for (const Made& m : make_stream(random, 5, writer))
      RC_ASSERT(record_end(m.start, static_cast<uint32_t>(m.whole.size())) == m.end);
  });
}

// Feeds everything, returns the number of whole records; `error` gets the text of the failure.
size_t count(WalStreamDecoder& decoder, ByteView bytes, std::string* error = nullptr) {
  decoder.feed(bytes);
  WalRecord r;
  for (size_t n = 0;; n++) {
    auto found = decoder.next(r);
    if (!found.ok() && error != nullptr) *error = found.error().message();
    if (!found.ok() || !*found) return n;
  }
}

TEST(WalStream, BadInputAFlippedBitEndsTheValidWalAtThatRecordAndNeverLater) {
  rc::check([](uint64_t seed) {
    Random random(seed);
    Lsn position = random_position(random);
    WalWriter writer(kIdentity, position, Lsn(8));
    std::vector<Made> made = make_stream(random, 12, writer);
    Bytes stream = writer.take();
    size_t at = random.below(stream.size());
    stream[at] ^= static_cast<uint8_t>(1u << random.below(8));
    WalStreamDecoder decoder(position, kIdentity, Lsn(8));
    size_t n = count(decoder, stream);
    // Every record that ends before the flip is found; none that covers it is, unless it hit padding
    // or a field of a page header that nobody reads.
    size_t before = 0;
    while (before < made.size() && made[before].end <= position + at) before++;
    RC_ASSERT(n >= before);
    if (n > before) {
      Lsn flip = position + at;
      bool in_header = page_offset(flip) < page_header_size(flip);
      bool in_padding = before < made.size() && flip + 8 > made[before].end;
      bool beyond = before < made.size() && flip < made[before].start;
      RC_ASSERT(in_header || in_padding || beyond);
    }
  });
}

TEST(WalStream, TheEndOfValidWalIsFoundInASegmentThatGoesOnWithZerosOrOldBytes) {
  Random random(7);
  Lsn position(kWalSegmentSize * 3);
  WalWriter writer(kIdentity, position, Lsn(kWalSegmentSize));
  make_stream(random, 40, writer);
  Lsn end = writer.position(), last = writer.previous();
  Bytes segment = writer.take();
  size_t used = segment.size();
  for (int old = 0; old < 2; old++) {
    segment.resize(used);
    segment.resize(kWalSegmentSize, old ? 0x5A : 0);
    WalStreamDecoder decoder(position, kIdentity);
    std::string why;
    EXPECT_EQ(count(decoder, segment, &why), 40u);
    EXPECT_EQ(decoder.last_end(), end);
    EXPECT_EQ(*decoder.last_record(), last);
    EXPECT_NE(why.find("WAL at"), std::string::npos) << why;
  }
}

TEST(WalStream, ARecordThatFollowsAFormerOneIsRefusedByItsPrev) {
  // Two proposers wrote different records at the same place; the second record of the first one
  // must not be taken for a successor of the other's.
  Lsn position(kWalSegmentSize + kWalLongHeader);
  WalWriter a(kIdentity, position, Lsn(8)), b(kIdentity, position, Lsn(8));
  a.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(10)));
  a.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(10)));
  b.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(100)));
  Bytes mixed = b.take(), old = a.take();
  WalWriter c(kIdentity, b.position(), a.previous());
  c.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(10)));
  append(mixed, c.take());
  WalStreamDecoder decoder(position, kIdentity, Lsn(8));
  std::string why;
  EXPECT_EQ(count(decoder, mixed, &why), 1u);
  EXPECT_NE(why.find("as the one before"), std::string::npos) << why;
}

TEST(WalStream, StartInsideARecordSkipsItsRest) {
  Random random(9);
  Lsn position(kWalSegmentSize);
  WalWriter writer(kIdentity, position, Lsn(8));
  PlacedRecord large = writer.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(30000)));
  PlacedRecord next = writer.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(10)));
  Bytes stream = writer.take();
  WalStreamDecoder decoder(position + kWalBlockSize, kIdentity);
  decoder.feed(ByteView(stream).subspan(kWalBlockSize));
  WalRecord r;
  auto found = decoder.next(r);
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  ASSERT_TRUE(*found);
  EXPECT_EQ(r.start, next.start);
  EXPECT_EQ(large.end, next.start);
  EXPECT_EQ(r.end, next.end);
}

TEST(WalStream, AnOverwrittenContinuationIsDroppedAndItsReplacementMustNameIt) {
  for (bool right : {true, false}) {
    Lsn position(kWalSegmentSize);
    WalWriter writer(kIdentity, position, Lsn(8));
    PlacedRecord whole = writer.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(10)));
    Lsn broken = writer.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(30000))).start;
    Bytes stream = writer.take();
    stream.resize(kWalBlockSize);
    Lsn page = position + kWalBlockSize;
    append_page_header(stream, {kWalFirstIsOverwriteContrecord, 1, page, 0}, kIdentity.system_id);
    Bytes main;
    Writer(main).le(right ? broken.value : broken.value + 8).le(uint64_t{0});
    Bytes record = RecordBuilder(Rmgr::Xlog, xlog::kOverwriteContrecord).main(main).build(whole.start);
    append(stream, record);
    stream.resize(align8(stream.size()));
    WalStreamDecoder decoder(position, kIdentity, Lsn(8));
    std::string why;
    EXPECT_EQ(count(decoder, stream, &why), right ? 2u : 1u) << why;
    if (right)
      EXPECT_EQ(decoder.last_end(), position + stream.size());
    else
      EXPECT_NE(why.find("should replace"), std::string::npos) << why;
  }
}

TEST(WalStream, ForeignPagesAndImpossibleStartsAreRefused) {
  Lsn position(kWalSegmentSize);
  WalWriter writer(kIdentity, position, Lsn(8));
  writer.append(RecordBuilder(Rmgr::Xlog, xlog::kNoop).main(Bytes(10)));
  Bytes stream = writer.take();
  std::string why;
  WalStreamDecoder other(position, {1, 1});
  EXPECT_EQ(count(other, stream, &why), 0u);
  EXPECT_NE(why.find("system"), std::string::npos);
  WalStreamDecoder elsewhere(position + kWalSegmentSize, kIdentity);
  EXPECT_EQ(count(elsewhere, stream, &why), 0u);
  EXPECT_NE(why.find("it says it lies at 0/1000000"), std::string::npos) << why;
  WalStreamDecoder inside(position + 16, kIdentity);
  WalRecord r;
  EXPECT_TRUE(inside.next(r).is(Code::Invalid));
}

// Read in pieces that begin and end anywhere, also inside headers.
TEST(WalPage, EmptyPagesAreLaidOverZerosUpToWhereWalBegins) {
  const Lsn begin(2 * kWalSegmentSize);
  const Lsn end = begin + 3 * kWalBlockSize + 1000;
  Bytes whole(4 * kWalBlockSize);
  for (size_t done = 0; done < whole.size();) {
    ByteSpan piece = ByteSpan(whole).subspan(done, std::min<size_t>(whole.size() - done, 8001));
    lay_empty_pages(begin + done, piece, end, 7);
    done += piece.size();
  }
  for (Lsn page = begin; page < begin + whole.size(); page += kWalBlockSize) {
    Bytes at = to_bytes(ByteView(whole).subspan(page - begin, kWalBlockSize));
    ASSERT_TRUE(read_page_header(at, page, {7}).ok()) << to_string(page);
    std::fill_n(at.begin(), page_header_size(page), 0);
    EXPECT_TRUE(all_zeros(at)) << to_string(page);
  }
  // From the end on the bytes are somebody's.
  Bytes later(2 * kWalBlockSize, 9);
  lay_empty_pages(end, later, end, 7);
  EXPECT_EQ(later, Bytes(2 * kWalBlockSize, 9));
}

TEST(WalPage, SegmentNamesGoBothWays) {
  EXPECT_EQ(segment_file_name(1), "000000010000000000000001");
  EXPECT_EQ(segment_file_name(0x1FF), "0000000100000001000000FF");
  EXPECT_EQ(*parse_segment_file_name("0000000100000001000000FF"), 0x1FFu);
  EXPECT_TRUE(parse_segment_file_name("00000001000000010000FFFF").is(Code::Invalid));
  EXPECT_TRUE(parse_segment_file_name("000000010000000000000001.partial").is(Code::Invalid));
}

}  // namespace
}  // namespace argon::pg
