// Hash index pages: access/hash.h of PostgreSQL 15.

#include "core/pg/describe/parts.h"
#include "core/pg/redo/index_tuple.h"

namespace argon::pg::describe {
namespace {

constexpr uint16_t kBitmap = 1 << 2, kMeta = 1 << 3;
constexpr size_t kSplitPoints = 98, kBitmaps = 1024;  // HASH_MAX_SPLITPOINTS, HASH_MAX_BITMAPS
constexpr size_t kSpares = page::kHeader + 52, kMap = kSpares + kSplitPoints * 4;

void describe_meta(PageText& text) {
  constexpr size_t kAt = page::kHeader;
  double tuples;
  std::memcpy(&tuples, text.page.data() + kAt + 8, sizeof tuples);
  text.content = {{"magic", text.at<uint32_t>(kAt)},
                  {"version", text.at<uint32_t>(kAt + 4)},
                  {"ntuples", tuples},
                  {"ffactor", text.at<uint16_t>(kAt + 16)},
                  {"bsize", text.at<uint16_t>(kAt + 18)},
                  {"bmsize", text.at<uint16_t>(kAt + 20)},
                  {"bmshift", text.at<uint16_t>(kAt + 22)},
                  {"maxbucket", text.at<uint32_t>(kAt + 24)},
                  {"highmask", text.at<uint32_t>(kAt + 28)},
                  {"lowmask", text.at<uint32_t>(kAt + 32)},
                  {"ovflpoint", text.at<uint32_t>(kAt + 36)},
                  {"firstfree", text.at<uint32_t>(kAt + 40)},
                  {"nmaps", text.at<uint32_t>(kAt + 44)},
                  {"procid", text.at<uint32_t>(kAt + 48)}};
  Json spares = Json::array(), maps = Json::array();
  for (size_t i = 0; i < kSplitPoints; i++) spares.push_back(text.at<uint32_t>(kSpares + i * 4));
  size_t count = text.at<uint32_t>(kAt + 44);
  if (count > kBitmaps) text.fault("{} bitmap pages, more than {}", count, kBitmaps);
  for (size_t i = 0; i < std::min(count, kBitmaps); i++) maps.push_back(text.at<uint32_t>(kMap + i * 4));
  text.content["spares"] = std::move(spares);
  text.content["mapp"] = std::move(maps);
}

// Which overflow pages are in use.
void describe_bitmap(PageText& text) {
  ByteView bits = text.lower_part();
  Json used = Json::array();
  for (size_t i = 0; i < bits.size() * 8; i++)
    if ((bits[i / 8] >> i % 8 & 1) != 0) used.push_back(i);
  text.content = {{"bits", bits.size() * 8}, {"used", std::move(used)}};
}

}  // namespace

void describe_hash(PageText& text) {
  auto flags = text.opaque<uint16_t>(12);
  text.special = {{"prevblkno", text.opaque<uint32_t>(0)},
                  {"nextblkno", text.opaque<uint32_t>(4)},
                  {"bucket", text.opaque<uint32_t>(8)},
                  {"flag", bit_names(flags, {{1 << 0, "LH_OVERFLOW_PAGE"},
                                             {1 << 1, "LH_BUCKET_PAGE"},
                                             {1 << 2, "LH_BITMAP_PAGE"},
                                             {1 << 3, "LH_META_PAGE"},
                                             {1 << 4, "LH_BUCKET_BEING_POPULATED"},
                                             {1 << 5, "LH_BUCKET_BEING_SPLIT"},
                                             {1 << 6, "LH_BUCKET_NEEDS_SPLIT_CLEANUP"},
                                             {1 << 7, "LH_PAGE_HAS_DEAD_TUPLES"}})},
                  {"page_id", text.opaque<uint16_t>(14)}};
  if ((flags & kMeta) != 0) return describe_meta(text);
  if ((flags & kBitmap) != 0) return describe_bitmap(text);
  each_line(text, redo::kIndexTupleHeaderBytes, [&](ByteView bytes, Json& item) {
    IndexTuple tuple = describe_index_tuple(text, bytes, item);
    item["dead"] = item["state"] == "dead";
    if (tuple.data.size() < 4) return text.fault("line {} has no hash code", item["line"].get<int>());
    item["hash"] = load_le<uint32_t>(tuple.data.data());
  });
}

}  // namespace argon::pg::describe
