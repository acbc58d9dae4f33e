// Files as each version of each format wrote them are kept in scenarios/kept: every later build must read
// them, and read the same from them.
//
// A format that changes gets a new version and a folder beside v1. Then what is written for comparison here
// must be in the new folder, while the old files stay and are read as before. To make the files of a new
// version: let the test fail; it says where it has put what is written now.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/base/random.h"
#include "core/pageserver/heatmap.h"
#include "core/pageserver/layer_format.h"
#include "core/pageserver/location.h"
#include "core/pageserver/timeline_index.h"
#include "core/pageserver/value.h"
#include "core/safekeeper/control_file.h"

namespace argon {
namespace {

Bytes kept(const std::string& name, const std::string& version = "v1") {
  std::ifstream in(std::string(KEPT_FOLDER) + "/" + version + "/" + name, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return to_bytes(as_bytes(text));
}

// What is written today, byte for byte what was written then.
void expect_same(const std::string& name, const Bytes& today, const std::string& version = "v1") {
  if (kept(name, version) == today) return;
  std::filesystem::path made = std::filesystem::path(testing::TempDir()) / name;
  std::ofstream(made, std::ios::binary)
      .write(reinterpret_cast<const char*>(today.data()), static_cast<std::streamsize>(today.size()));
  ADD_FAILURE() << name << " is written in another way than it was; see " << made;
}

constexpr TenantTimelineId kId{{{1, 2, 3}}, {{4, 5, 6}}};

safekeeper::TimelineControl control_of_then() {
  safekeeper::TimelineControl control;
  control.id = kId;
  consensus::AcceptorState& s = control.acceptor;
  s.configuration.generation = consensus::ConfigurationGeneration(3);
  s.configuration.members = {{NodeId(1), "one", 5454}, {NodeId(2), "::1", 5455}, {NodeId(3), "three", 1}};
  s.configuration.new_members = {{NodeId(7), "seven", 2}};
  s.server = {150020, 0x1122334455667788, 16u << 20};
  s.timeline_start = s.local_start = Lsn(0x1500028);
  s.term = Term(9);
  s.history = consensus::TermHistory(
      {{Term(0), Lsn(0x1500028)}, {Term(2), Lsn(0x1500100)}, {Term(9), Lsn(0x1600000)}});
  s.commit = Lsn(0x1600200);
  control.backup = Lsn(0x1000000);
  control.remote_consistent = Lsn(0x1500200);
  control.partial = {"wal/one.partial", Lsn(0x1600100), Term(9)};
  control.partial_previous = {"wal/two.partial", Lsn(0x1600180), Term(2)};
  return control;
}

TEST(KeptFormats, ASafekeepersControlFile) {
  auto read = safekeeper::decode_control(kept("safekeeper.control"));
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, control_of_then());

  safekeeper::TimelineControl second = control_of_then();
  second.closed_at = Lsn(0x1600240);
  second.chain = {{Lsn(0x1500028), 0x1122334455667788}};
  read = safekeeper::decode_control(kept("safekeeper.control", "v2"));
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, second);

  safekeeper::TimelineControl third = second;
  third.closed_at = third.acceptor.commit;
  third.evicted = safekeeper::EvictedTail{"wal/one.partial", 0x600200, 0x11223344};
  expect_same("safekeeper.control", safekeeper::encode_control(third), "v3");
  read = safekeeper::decode_control(kept("safekeeper.control", "v3"));
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, third);
}

using namespace pageserver;

LayerName layer_name(LayerKind kind) {
  Lsn end = kind == LayerKind::Delta ? Lsn(0x1600000) : Lsn(0x1500101);
  return {kind, KeyRange::all(), Lsn(0x1500100), end, 77, Generation(3)};
}

TimelineIndex index_of_then() {
  TimelineIndex index;
  index.id = kId;
  index.generation = Generation(3);
  index.sequence = 17;
  index.ancestor = TimelineId{{9}};
  index.ancestor_lsn = index.start_lsn = Lsn(0x1500100);
  index.disk_consistent = Lsn(0x1600000);
  index.prev_record = Lsn(0x15FFF00);
  index.system_id = 0x1122334455667788;
  index.layers = {{layer_name(LayerKind::Delta), 81920}};
  return index;
}

TEST(KeptFormats, ATimelinesIndexOfBeforeGarbageCollection) {
  auto read = decode_index(kept("index"), "kept");
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, index_of_then());
}

TimelineIndex index_with_history() {
  TimelineIndex index = index_of_then();
  index.gc_cutoff = Lsn(0x1580000);
  index.retained = {Lsn(0x1500100), Lsn(0x1540000)};
  return index;
}

TEST(KeptFormats, ATimelinesIndexOfBeforeArchiving) {
  auto read = decode_index(kept("index", "v2"), "kept");
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, index_with_history());
}

TEST(KeptFormats, ATimelinesIndex) {
  TimelineIndex index = index_with_history();
  index.archived_at = WallTime{1'795'953'600'000'000'000};
  expect_same("index", encode_index(index), "v3");
  auto read = decode_index(kept("index", "v3"), "kept");
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, index);
}

struct Entry {
  Key key;
  Lsn lsn;
  Bytes value;
};

// An image over several blocks, and a few small values; since version 2 two pages as well, of which one can
// be compressed in version 3.
std::vector<Entry> entries_of_then(LayerKind kind, int version) {
  std::vector<Entry> entries;
  Random random(15);
  for (uint32_t block = 0; block < 5; block++) {
    bool is_page = version >= 2 && (block == 1 || block == 3);
    Bytes page(is_page ? pg::kBlockSize : block == 2 ? 12'000 : 40);
    random.fill(version == 3 && block == 3 ? ByteSpan(page).first(1000) : ByteSpan(page));
    Lsn lsn = kind == LayerKind::Delta ? Lsn(0x1500200 + block) : Lsn(0x1500100);
    entries.push_back({block_key({{{1663, 5, 16384}, pg::Fork::Main}, block}), lsn, image_value(page)});
  }
  return entries;
}

Bytes layer_of_then(LayerKind kind, int version, bool compress = false) {
  LayerBuilder builder(kId, layer_name(kind), LayerBuilder::kPieceBytes, compress);
  for (const Entry& entry : entries_of_then(kind, version)) builder.add(entry.key, entry.lsn, entry.value);
  return builder.finish();
}

ByteView block_of(const Bytes& file, size_t number) {
  return ByteView(file).subspan(number * kLayerBlock, kLayerBlock);
}

Bytes value_in(const Bytes& file, const LayerHeader& header, const LayerEntry& entry) {
  Bytes out;
  size_t payload = header.payload();
  for (uint64_t at = entry.offset; at < entry.offset + entry.length; at++)
    out.push_back(file[header.value_block_at(at / payload) + 4 + at % payload]);
  EXPECT_TRUE(expand_value(out).ok());
  return out;
}

void expect_readable(LayerKind kind, int version, const Bytes& file) {
  ASSERT_GE(file.size(), kLayerBlock);
  auto header = parse_layer_header(block_of(file, 0));
  ASSERT_TRUE(header.ok()) << header.error().to_string();
  ASSERT_EQ(header->file_size(), file.size());
  Status whole = check_layer_file(file, layer_name(kind));
  ASSERT_TRUE(whole.ok()) << whole.error().to_string();
  std::vector<Entry> wanted = entries_of_then(kind, version);
  size_t found = 0;
  for (uint32_t leaf = 0; leaf < header->leaves; leaf++) {
    auto node = parse_layer_node(block_of(file, header->first_leaf() + leaf), *header);
    ASSERT_TRUE(node.ok()) << node.error().to_string();
    for (const LayerEntry& entry : node->entries) {
      ASSERT_LT(found, wanted.size());
      EXPECT_EQ(entry.key, wanted[found].key);
      EXPECT_EQ(entry.lsn, wanted[found].lsn);
      EXPECT_EQ(value_in(file, *header, entry), wanted[found].value);
      found++;
    }
  }
  EXPECT_EQ(found, wanted.size());
}

TEST(KeptFormats, ADeltaLayer) {
  expect_readable(LayerKind::Delta, 1, kept("delta.layer"));
  expect_same("delta.layer", layer_of_then(LayerKind::Delta, 3), "v3");
  expect_readable(LayerKind::Delta, 3, kept("delta.layer", "v3"));
}

TEST(KeptFormats, AnImageLayer) {
  expect_readable(LayerKind::Image, 1, kept("image.layer"));
  expect_readable(LayerKind::Image, 2, kept("image.layer", "v2"));
  expect_same("image.layer", layer_of_then(LayerKind::Image, 3), "v3");
  expect_readable(LayerKind::Image, 3, kept("image.layer", "v3"));
  expect_readable(LayerKind::Image, 3, kept("compressed.layer", "v3"));
  // Not byte for byte: how well LZ4 compresses may change.
  expect_readable(LayerKind::Image, 3, layer_of_then(LayerKind::Image, 3, true));
}

TEST(KeptFormats, ALocationFile) {
  Location location{LocationMode::AttachedStale, Generation(7), Generation(5)};
  expect_same("location", encode_location(location));
  auto read = decode_location(kept("location"), "kept");
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, location);
}

TEST(KeptFormats, AClaim) {
  Claim claim{NodeId(2), 0x1122334455667788, LocationMode::AttachedMulti, Generation(5)};
  expect_same("claim", to_bytes(as_bytes(claim_text(claim))));
  EXPECT_EQ(parse_claim(as_text(kept("claim"))), claim);
  // What claims held before they said whose they are.
  EXPECT_EQ(parse_claim("claimed"), Claim());
}

TEST(KeptFormats, AHeatmap) {
  Heatmap heatmap;
  heatmap.generation = Generation(7);
  heatmap.upload_period = Duration::seconds(60);
  heatmap.timelines[kId.timeline] = {{layer_name(LayerKind::Delta), 81920, 1'795'953'600},
                                     {layer_name(LayerKind::Image), 8192, 0}};
  expect_same("heatmap-v1.json", to_bytes(as_bytes(heatmap_text(heatmap))));
  auto read = parse_heatmap(as_text(kept("heatmap-v1.json")));
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, heatmap);
}

}  // namespace
}  // namespace argon
