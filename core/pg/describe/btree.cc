// Btree pages: access/nbtree.h of PostgreSQL 15.

#include "core/pg/describe/parts.h"
#include "core/pg/redo/btree_posting.h"
#include "core/pg/redo/index_tuple.h"

namespace argon::pg::describe {
namespace {

constexpr uint16_t kLeaf = 1 << 0, kDeleted = 1 << 2, kMeta = 1 << 3, kHasFullXid = 1 << 8;
constexpr uint16_t kAltTid = 0x2000;           // INDEX_ALT_TID_MASK, in t_info
constexpr uint16_t kPivotHasHeapTid = 0x1000;  // BT_PIVOT_HEAP_TID_ATTR, in the TID's number
constexpr size_t kMetaBytes = 48;              // sizeof(BTMetaPageData)

void describe_meta(PageText& text) {
  constexpr size_t kAt = page::kHeader;
  double heap_tuples;
  std::memcpy(&heap_tuples, text.page.data() + kAt + 32, sizeof heap_tuples);
  text.content = {{"magic", text.at<uint32_t>(kAt)},
                  {"version", text.at<uint32_t>(kAt + 4)},
                  {"root", text.at<uint32_t>(kAt + 8)},
                  {"level", text.at<uint32_t>(kAt + 12)},
                  {"fastroot", text.at<uint32_t>(kAt + 16)},
                  {"fastlevel", text.at<uint32_t>(kAt + 20)},
                  {"last_cleanup_num_delpages", text.at<uint32_t>(kAt + 24)},
                  {"last_cleanup_num_heap_tuples", heap_tuples},
                  {"allequalimage", text.page[kAt + 40] != 0}};
  static_assert(kMetaBytes >= 41);
}

Json posting_tids(ByteView tuple, const redo::Posting& posting) {
  Json tids = Json::array();
  for (size_t i = 0; i < posting.count; i++)
    tids.push_back(tid(tuple.data() + posting.key_size + i * redo::kItemPointerBytes));
  return tids;
}

// What the TID field means depends on the tuple: a heap TID, a posting list's place, or a downlink.
void describe_tuple(PageText& text, ByteView bytes, bool leaf, Json& item) {
  IndexTuple tuple = describe_index_tuple(text, bytes, item);
  item["dead"] = item["state"] == "dead";
  bool alternative = (tuple.info & kAltTid) != 0;
  if (alternative && redo::is_posting(bytes)) {
    auto posting = redo::posting_of(bytes);
    if (!posting.ok()) return text.fault("line {}: {}", item["line"].get<int>(), posting.error().message());
    item["htid"] = posting->count == 0 ? "" : tid(bytes.data() + posting->key_size);
    item["tids"] = posting_tids(bytes, *posting);
    size_t behind_key = tuple.size - posting->key_size;
    tuple.data = tuple.data.first(tuple.data.size() - std::min(tuple.data.size(), behind_key));
  } else if (alternative) {
    bool has_tid = (load_le<uint16_t>(bytes.data() + 4) & kPivotHasHeapTid) != 0;
    if (has_tid && tuple.data.size() >= 8) {
      item["htid"] = tid(bytes.data() + tuple.size - redo::kItemPointerBytes);
      tuple.data = tuple.data.first(tuple.data.size() - 8);
    }
  } else if (leaf) {
    item["htid"] = item["ctid"];
  }
  if (!leaf) item["downlink"] = redo::load_item_block(bytes.data());
  item["data"] = to_hex(tuple.data);
}

}  // namespace

void describe_btree(PageText& text) {
  auto flags = text.opaque<uint16_t>(12);
  text.special = {{"prev", text.opaque<uint32_t>(0)},
                  {"next", text.opaque<uint32_t>(4)},
                  {"level", text.opaque<uint32_t>(8)},
                  {"flags", bit_names(flags, {{1 << 0, "BTP_LEAF"},
                                              {1 << 1, "BTP_ROOT"},
                                              {1 << 2, "BTP_DELETED"},
                                              {1 << 3, "BTP_META"},
                                              {1 << 4, "BTP_HALF_DEAD"},
                                              {1 << 5, "BTP_SPLIT_END"},
                                              {1 << 6, "BTP_HAS_GARBAGE"},
                                              {1 << 7, "BTP_INCOMPLETE_SPLIT"},
                                              {1 << 8, "BTP_HAS_FULLXID"}})},
                  {"cycle_id", text.opaque<uint16_t>(14)}};
  if ((flags & kMeta) != 0) return describe_meta(text);
  if ((flags & kDeleted) != 0) {
    if ((flags & kHasFullXid) != 0) text.content["safexid"] = text.at<uint64_t>(page::kHeader);
    return;
  }
  bool leaf = (flags & kLeaf) != 0;
  bool rightmost = text.opaque<uint32_t>(4) == 0;
  each_line(text, redo::kIndexTupleHeaderBytes, [&](ByteView bytes, Json& item) {
    bool high_key = !rightmost && item["line"] == 1;
    if (high_key) item["high_key"] = true;
    describe_tuple(text, bytes, leaf && !high_key, item);
  });
}

}  // namespace argon::pg::describe
