// Codecs of keys, values, layer files and indexes: round trips, order, and refusal of damage.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "core/base/random.h"
#include "core/pageserver/layer_format.h"
#include "core/pageserver/memory_layer.h"
#include "core/pageserver/timeline_index.h"
#include "core/pageserver/value.h"

namespace argon::pageserver {
namespace {

Key random_key(Random& random) {
  Key key;
  key.f1 = static_cast<uint8_t>(random.below(4));
  key.f2 = static_cast<uint32_t>(random.below(3));
  key.f3 = static_cast<uint32_t>(random.next());
  key.f4 = static_cast<uint32_t>(random.below(2));
  key.f5 = static_cast<uint8_t>(random.below(256));
  key.f6 = static_cast<uint32_t>(random.next());
  return key;
}

const TenantTimelineId kOwner{{{1, 2, 3}}, {{4, 5, 6}}};
const LayerName kName{LayerKind::Delta, KeyRange::all(), Lsn(10), Lsn(1u << 20), 77, Generation(3)};
const LayerName kImage{LayerKind::Image, KeyRange::all(), Lsn(10), Lsn(11), 78, Generation(3)};

using Entries = std::map<std::pair<Key, Lsn>, Bytes>;

Entries random_entries(Random& random, size_t count, size_t longest) {
  Entries entries;
  for (size_t i = 0; i < count; i++) {
    Key key = random_key(random);
    Lsn lsn(random.between(10, (1u << 20) - 1));
    Bytes value(random.between(1, longest));
    random.fill(ByteSpan(value).first(random.chance({1, 2}) ? value.size() : 1));
    value[0] %= 7;
    entries[{key, lsn}] = value;
  }
  return entries;
}

// Of an image layer: pages, and now and then something else.
Entries random_images(Random& random, size_t count) {
  Entries entries;
  for (size_t i = 0; i < count; i++) {
    Bytes content(random.chance({3, 4}) ? pg::kBlockSize : random.below(20'000));
    random.fill(
        ByteSpan(content).first(random.chance({1, 2}) ? content.size() : random.below(content.size() + 1)));
    entries[{random_key(random), kImage.begin}] = image_value(content);
  }
  return entries;
}

Bytes build(const Entries& entries, const LayerName& name = kName, bool compress = false) {
  LayerBuilder builder(kOwner, name, LayerBuilder::kPieceBytes, compress);
  for (const auto& [at, value] : entries) builder.add(at.first, at.second, value);
  return builder.finish();
}

ByteView block_of_file(const Bytes& file, size_t number) {
  return ByteView(file).subspan(number * kLayerBlock, kLayerBlock);
}

Bytes value_of(const Bytes& file, const LayerHeader& header, const LayerEntry& entry) {
  Bytes out;
  size_t payload = header.payload();
  for (uint64_t at = entry.offset; at < entry.offset + entry.length; at++)
    out.push_back(file[header.value_block_at(at / payload) + 4 + at % payload]);
  EXPECT_TRUE(expand_value(out).ok());
  return out;
}

RC_GTEST_PROP(Key, OrderOfBytesIsOrderOfKeys, (uint64_t seed)) {
  Random random(seed);
  Key a = random_key(random);
  Key b = random_key(random);
  Bytes left(kKeyBytes);
  Bytes right(kKeyBytes);
  store_key(a, left);
  store_key(b, right);
  RC_ASSERT((a <=> b) == (left <=> right));
  RC_ASSERT(load_key(left) == a);
  RC_ASSERT(*parse_key(to_string(a)) == a);
  RC_ASSERT(a < a.next());
}

TEST(Key, TextThatIsNoKeyIsRefused) {
  EXPECT_EQ(parse_key("00").code(), Code::Invalid);
  EXPECT_EQ(parse_key(std::string(36, 'g')).code(), Code::Invalid);
}

TEST(Value, PartsOfJoinedValuesComeOldestFirst) {
  Bytes first = mutation_value(pg::redo::ClearVisibilityMapFlags{7, 3});
  Bytes second = mutation_value(pg::redo::ClearVisibilityMapFlags{9, 3});
  Bytes joined = join_values(join_values(first, second), first);
  auto parts = parts_of(joined);
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->size(), 3u);
  EXPECT_TRUE(std::ranges::equal((*parts)[1].body, ByteView(second).subspan(1)));
  EXPECT_FALSE(ends_chain(joined));
  EXPECT_TRUE(ends_chain(join_values(mutation_value(pg::redo::ZeroPage{}), first)));
  EXPECT_EQ(join_values(joined, image_value(as_bytes("x"))), image_value(as_bytes("x")));
}

TEST(Value, UnknownKindIsUnsupported) {
  EXPECT_EQ(parts_of(Bytes{9, 1}).code(), Code::Unsupported);
  EXPECT_EQ(parts_of(Bytes{5, 1}).code(), Code::Corrupt);
  EXPECT_EQ(parts_of(Bytes{}).code(), Code::Corrupt);
}

RC_GTEST_PROP(LayerFormat, EveryEntryIsFoundAgain, (uint64_t seed)) {
  Random random(seed);
  bool image = random.chance({1, 2});
  size_t longest = random.chance({1, 2}) ? 40 : 20000;
  size_t count = random.below(!image && longest == 40 ? 3000 : 30);
  Entries entries = image ? random_images(random, count) : random_entries(random, count, longest);
  const LayerName& name = image ? kImage : kName;
  Bytes file = build(entries, name, random.chance({1, 2}));
  RC_ASSERT(file.size() % kLayerBlock == 0);
  auto header = parse_layer_header(block_of_file(file, 0));
  RC_ASSERT(header.ok());
  RC_ASSERT(header->file_size() == file.size());
  RC_ASSERT(header->entries == entries.size());
  RC_ASSERT(check_layer_file(file, name).ok());
  auto expected = entries.begin();
  for (uint32_t leaf = 0; leaf < header->leaves; leaf++) {
    auto node = parse_layer_node(block_of_file(file, header->first_leaf() + leaf), *header);
    RC_ASSERT(node.ok());
    for (const LayerEntry& entry : node->entries) {
      RC_ASSERT(expected != entries.end());
      RC_ASSERT(std::pair(entry.key, entry.lsn) == expected->first);
      RC_ASSERT(value_of(file, *header, entry) == expected->second);
      RC_ASSERT(entry.ends_chain == ends_chain(expected->second));
      // A page is read, and checked, with nothing else.
      if (entry.length == kImagePayload) RC_ASSERT(entry.offset % kImagePayload == 0u);
      ++expected;
    }
  }
  RC_ASSERT(expected == entries.end());
}

// However many pieces it was taken away in.
RC_GTEST_PROP(LayerFormat, PiecesMakeTheSameFile, (uint64_t seed)) {
  Random random(seed);
  bool image = random.chance({1, 2});
  Entries entries = image ? random_images(random, 30) : random_entries(random, 30, 20000);
  const LayerName& name = image ? kImage : kName;
  bool compress = random.chance({1, 2});
  LayerBuilder builder(kOwner, name, 1, compress);
  Bytes file;
  auto put = [&](const LayerBuilder::Piece& piece) {
    file.resize(std::max(file.size(), piece.offset + piece.blocks.size()));
    std::ranges::copy(piece.blocks, file.begin() + static_cast<std::ptrdiff_t>(piece.offset));
  };
  for (const auto& [at, value] : entries) {
    builder.add(at.first, at.second, value);
    if (builder.has_piece() && random.chance({1, 2})) put(builder.take());
  }
  auto [rest, header] = builder.finish_pieces(name.keys.end);
  put(rest);
  put(header);
  RC_ASSERT(file == build(entries, name, compress));
}

TEST(ValueCompression, OnlyWhatGetsShorterIsCompressed) {
  ValueCompressor compressor;
  Random random(3);
  Bytes page(pg::kBlockSize);
  for (size_t noise : {size_t{0}, size_t{100}, size_t{4000}, size_t{7900}, page.size()}) {
    random.fill(ByteSpan(page).first(noise));
    Bytes value = image_value(page);
    Bytes stored = to_bytes(compressor.compress(value));
    EXPECT_EQ(is_compressed(stored), noise < 7000) << noise;
    EXPECT_EQ(stored.size() < value.size(), noise < 7000) << noise;
    ASSERT_TRUE(expand_value(stored).ok());
    EXPECT_EQ(stored, value);
  }
  Bytes zeros(12'345);
  Bytes record = record_value(zeros, true);
  Bytes stored = to_bytes(compressor.compress(record));
  EXPECT_LT(stored.size(), 100u);
  ASSERT_TRUE(expand_value(stored).ok());
  EXPECT_EQ(stored, record);
  for (const Bytes& other : {record_value(ByteView(zeros).first(500), true), Bytes{0}})
    EXPECT_EQ(to_bytes(compressor.compress(other)), other);
}

TEST(ValueCompression, WhatDoesNotExpandToItsLengthIsCorrupt) {
  Bytes stored = to_bytes(ValueCompressor().compress(image_value(Bytes(pg::kBlockSize))));
  ASSERT_TRUE(is_compressed(stored));
  for (size_t length = 1; length < stored.size(); length++) {
    Bytes cut(stored.begin(), stored.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_TRUE(expand_value(cut).is(Code::Corrupt)) << length;
  }
  for (uint32_t length : {0u, 8192u, 8194u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    Bytes other = stored;
    store_le(other.data() + 1, length);
    EXPECT_TRUE(expand_value(other).is(Code::Corrupt)) << length;
  }
  stored.push_back(0x50);
  EXPECT_TRUE(expand_value(stored).is(Code::Corrupt));
}

RC_GTEST_PROP(LayerFormat, AnyFlippedBitIsSeen, (uint64_t seed)) {
  Random random(seed);
  bool image = random.chance({1, 2});
  const LayerName& name = image ? kImage : kName;
  Bytes file = build(image ? random_images(random, 5) : random_entries(random, 100, 300), name);
  size_t at = random.below(file.size());
  file[at] ^= static_cast<uint8_t>(1u << random.below(8));
  RC_ASSERT(!check_layer_file(file, name).ok());
  if (at < kLayerBlock) RC_ASSERT(!parse_layer_header(block_of_file(file, 0)).ok());
}

TEST(LayerFormat, ABlockInAnotherPlaceOrOfAnotherFileIsRefused) {
  Random random(1);
  Bytes file = build(random_entries(random, 2000, 100));
  auto header = parse_layer_header(block_of_file(file, 0));
  ASSERT_TRUE(header.ok());
  LayerBlock second = layer_blocks(*header)[2];
  ByteView block = ByteView(file).subspan(second.offset, second.bytes);
  EXPECT_TRUE(check_layer_block(block, kName.file_id, 2));
  EXPECT_FALSE(check_layer_block(block, kName.file_id, 1));
  EXPECT_FALSE(check_layer_block(block, kName.file_id + 1, 2));
}

TEST(LayerFormat, AnotherVersionIsUnsupported) {
  Random random(1);
  Bytes file = build(random_entries(random, 3, 100));
  file[4 + 8] = kLayerVersion + 1;
  store_le(file.data(), layer_block_checksum(block_of_file(file, 0), kName.file_id, 0));
  EXPECT_EQ(parse_layer_header(block_of_file(file, 0)).code(), Code::Unsupported);
}

// Not another version, where that is what flipped: damage is repaired from the object store.
TEST(LayerFormat, AnyFlippedBitOfTheHeaderIsDamage) {
  Random random(1);
  const Bytes good = build(random_entries(random, 3, 100));
  for (size_t bit = 0; bit < 8 * kLayerBlock; bit++) {
    Bytes file = good;
    file[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    EXPECT_EQ(parse_layer_header(block_of_file(file, 0)).code(), Code::Corrupt) << "bit " << bit;
  }
}

TEST(LayerName, RoundTrip) {
  LayerName image{LayerKind::Image,
                  {block_key({{{1663, 5, 16384}, pg::Fork::Vm}, 3}), Key::max()},
                  Lsn(5),
                  Lsn(6),
                  9,
                  {}};
  for (const LayerName& name : {kName, image}) {
    auto parsed = parse_layer_name(to_string(name));
    ASSERT_TRUE(parsed.ok()) << to_string(name);
    EXPECT_EQ(*parsed, name);
  }
  EXPECT_EQ(parse_layer_name("index").code(), Code::Invalid);
  EXPECT_EQ(parse_layer_name(to_string(kName) + "0").code(), Code::Invalid);
}

TimelineIndex sample_index() {
  TimelineIndex index;
  index.id = kOwner;
  index.generation = Generation(2);
  index.sequence = 17;
  index.ancestor = TimelineId{{9}};
  index.ancestor_lsn = Lsn(0x1000);
  index.start_lsn = Lsn(0x1000);
  index.disk_consistent = Lsn(0x2000);
  index.layers = {{kName, 81920}};
  return index;
}

TEST(TimelineIndex, RoundTrip) {
  auto decoded = decode_index(encode_index(sample_index()), "test");
  ASSERT_TRUE(decoded.ok()) << decoded.error().to_string();
  EXPECT_EQ(*decoded, sample_index());
}

TEST(TimelineIndex, BadInputAnyDamageOrTruncationIsAnError) {
  Bytes good = encode_index(sample_index());
  for (size_t at = 0; at < good.size(); at++) {
    Bytes bad = good;
    bad[at] ^= 0x10;
    EXPECT_FALSE(decode_index(bad, "test").ok()) << at;
    EXPECT_FALSE(decode_index(ByteView(good).first(at), "test").ok()) << at;
  }
  EXPECT_THAT(decode_index(ByteView(good).first(40), "FILE").error().message(), testing::HasSubstr("FILE"));
}

TEST(MemoryLayer, CollectStopsAtWhatEndsTheChain) {
  MemoryLayer layer(Lsn(1));
  Key key = checkpoint_key();
  layer.put(key, Lsn(2), record_value(as_bytes("a"), false));
  layer.put(key, Lsn(4), record_value(as_bytes("b"), true));
  layer.put(key, Lsn(6), record_value(as_bytes("c"), false));
  std::vector<Version> found;
  EXPECT_TRUE(layer.collect(key, Lsn(0), Lsn(7), found));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].lsn, Lsn(6));
  EXPECT_EQ(found[1].lsn, Lsn(4));
  found.clear();
  EXPECT_FALSE(layer.collect(key, Lsn(0), Lsn(4), found));
  ASSERT_EQ(found.size(), 1u);
  found.clear();
  EXPECT_FALSE(layer.collect(key, Lsn(5), Lsn(7), found));
  EXPECT_EQ(found.size(), 1u);
}

}  // namespace
}  // namespace argon::pageserver
