// GIN pages: access/ginblock.h of PostgreSQL 15.

#include "core/pg/describe/parts.h"
#include "core/pg/redo/gin_posting.h"

namespace argon::pg::describe {
namespace {

constexpr uint16_t kData = 1 << 0, kLeaf = 1 << 1, kDeleted = 1 << 2, kMeta = 1 << 3, kList = 1 << 4,
                   kCompressed = 1 << 7;
constexpr size_t kDataStart = page::kHeader + 8;  // behind the right bound
constexpr size_t kPostingItemBytes = 10;          // child block (4), key TID (6)
constexpr uint16_t kTreePosting = 0xFFFF;         // GIN_TREE_POSTING, in the TID's number
constexpr uint32_t kItupCompressed = 1u << 31;    // GIN_ITUP_COMPRESSED, in the TID's block

void describe_meta(PageText& text) {
  constexpr size_t kAt = page::kHeader;
  text.content = {
      {"pending_head", text.at<uint32_t>(kAt)},         {"pending_tail", text.at<uint32_t>(kAt + 4)},
      {"tail_free_size", text.at<uint32_t>(kAt + 8)},   {"n_pending_pages", text.at<uint32_t>(kAt + 12)},
      {"n_pending_tuples", text.at<int64_t>(kAt + 16)}, {"n_total_pages", text.at<uint32_t>(kAt + 24)},
      {"n_entry_pages", text.at<uint32_t>(kAt + 28)},   {"n_data_pages", text.at<uint32_t>(kAt + 32)},
      {"n_entries", text.at<int64_t>(kAt + 40)},        {"version", text.at<int32_t>(kAt + 48)}};
}

// TIDs of 6 bytes each.
Json plain_tids(ByteView bytes) {
  Json tids = Json::array();
  for (; bytes.size() >= redo::kItemPointerBytes; bytes = bytes.subspan(redo::kItemPointerBytes))
    tids.push_back(tid(bytes.data()));
  return tids;
}

Json segment_tids(PageText& text, ByteView segment) {
  auto tids = redo::gin_segment_tids(segment);
  if (tids.ok()) return plain_tids(*tids);
  text.fault("{}", tids.error().message());
  return Json::array();
}

// A leaf of a posting tree: segments, one behind the other. Older ones hold plain TIDs.
void describe_posting_leaf(PageText& text, bool compressed) {
  text.content["right_bound"] = tid(text.page.data() + page::kHeader);
  if (!compressed) {
    size_t bytes = text.opaque<uint16_t>(4) * redo::kItemPointerBytes;
    if (kDataStart + bytes > page_special(text.page)) return text.fault("more TIDs than a page can hold");
    text.content["tids"] = plain_tids(text.page.subspan(kDataStart, bytes));
    return;
  }
  if (page_lower(text.page) < kDataStart) return text.fault("leaf page without its right bound");
  ByteView rest = text.page.subspan(kDataStart, page_lower(text.page) - kDataStart);
  for (int slot = 0; !rest.empty(); slot++) {
    auto segment = redo::leading_gin_segment(rest);
    if (!segment.ok()) return text.fault("segment {}: {}", slot, segment.error().message());
    text.items.push_back({{"slot", slot},
                          {"first_tid", tid(segment->data())},
                          {"nbytes", load_le<uint16_t>(segment->data() + 6)},
                          {"tids", segment_tids(text, *segment)}});
    rest = rest.subspan(segment->size());
  }
}

void describe_posting_inner(PageText& text) {
  text.content["right_bound"] = tid(text.page.data() + page::kHeader);
  size_t count = text.opaque<uint16_t>(4);
  if (kDataStart + count * kPostingItemBytes > page_special(text.page))
    return text.fault("{} posting items, more than a page can hold", count);
  for (size_t i = 0; i < count; i++) {
    const uint8_t* at = text.page.data() + kDataStart + i * kPostingItemBytes;
    text.items.push_back({{"slot", i}, {"child", redo::load_item_block(at)}, {"key", tid(at + 4)}});
  }
}

// An entry: a posting tree's root, or the list's place and length, in the TID field.
void describe_entry(PageText& text, ByteView bytes, bool leaf, Json& item) {
  IndexTuple tuple = describe_index_tuple(text, bytes, item);
  uint32_t block = redo::load_item_block(bytes.data());
  auto number = load_le<uint16_t>(bytes.data() + 4);
  size_t key_end = tuple.size;
  if (!leaf) {
    item["downlink"] = block;
  } else if (number == kTreePosting) {
    item["posting_root"] = block;
  } else {
    size_t list = block & ~kItupCompressed;
    if (list > tuple.size)
      return text.fault("line {}: its posting list is at {}", item["line"].get<int>(), list);
    ByteView bytes_of_list = bytes.subspan(list, tuple.size - list);
    key_end = list;
    if (number == 0) {
      item["tids"] = Json::array();
    } else if ((block & kItupCompressed) != 0) {
      auto segment = redo::leading_gin_segment(bytes_of_list);
      if (!segment.ok()) return text.fault("line {}: {}", item["line"].get<int>(), segment.error().message());
      item["tids"] = segment_tids(text, *segment);
    } else {
      item["tids"] = plain_tids(
          bytes_of_list.first(std::min(bytes_of_list.size(), size_t{number} * redo::kItemPointerBytes)));
    }
    if (item["tids"].size() != number)
      text.fault("line {} has {} TIDs, and says {}", item["line"].get<int>(), item["tids"].size(), number);
  }
  size_t begin = tuple.size - tuple.data.size();
  item["data"] = begin > key_end ? "" : to_hex(bytes.subspan(begin, key_end - begin));
}

}  // namespace

void describe_gin(PageText& text) {
  auto flags = text.opaque<uint16_t>(6);
  text.special = {{"rightlink", text.opaque<uint32_t>(0)},
                  {"maxoff", text.opaque<uint16_t>(4)},
                  {"flags", bit_names(flags, {{1 << 0, "GIN_DATA"},
                                              {1 << 1, "GIN_LEAF"},
                                              {1 << 2, "GIN_DELETED"},
                                              {1 << 3, "GIN_META"},
                                              {1 << 4, "GIN_LIST"},
                                              {1 << 5, "GIN_LIST_FULLROW"},
                                              {1 << 6, "GIN_INCOMPLETE_SPLIT"},
                                              {1 << 7, "GIN_COMPRESSED"}})}};
  if ((flags & kMeta) != 0) return describe_meta(text);
  if ((flags & kDeleted) != 0) return;
  if ((flags & kData) != 0)
    return (flags & kLeaf) != 0 ? describe_posting_leaf(text, (flags & kCompressed) != 0)
                                : describe_posting_inner(text);
  each_line(text, redo::kIndexTupleHeaderBytes, [&](ByteView bytes, Json& item) {
    if ((flags & kList) == 0) return describe_entry(text, bytes, (flags & kLeaf) != 0, item);
    IndexTuple tuple = describe_index_tuple(text, bytes, item);  // a pending entry of the heap tuple `ctid`
    item["data"] = to_hex(tuple.data);
  });
}

}  // namespace argon::pg::describe
