// SP-GiST pages: access/spgist_private.h of PostgreSQL 15.

#include "core/pg/describe/parts.h"
#include "core/pg/redo/heap_tuple.h"
#include "core/pg/redo/index_tuple.h"

namespace argon::pg::describe {
namespace {

constexpr uint16_t kMeta = 1 << 0, kLeaf = 1 << 2;
constexpr size_t kLeafHeaderBytes = 12;  // sizeof(SpGistLeafTupleData)
constexpr size_t kInnerHeaderBytes = 8;  // SGITHDRSZ
constexpr size_t kCachedPages = 8;       // SPGIST_CACHED_PAGES
constexpr uint32_t kRedirect = 1, kLive = 0;
constexpr const char* kStates[] = {"live", "redirect", "dead", "placeholder"};

void describe_meta(PageText& text) {
  text.content = {{"magic", text.at<uint32_t>(page::kHeader)}};
  Json cached = Json::array();
  for (size_t i = 0; i < kCachedPages; i++)
    cached.push_back({{"block", text.at<uint32_t>(page::kHeader + 4 + i * 8)},
                      {"free_bytes", text.at<int32_t>(page::kHeader + 8 + i * 8)}});
  text.content["last_used_pages"] = std::move(cached);
}

// Leaf and dead tuples: state and size, the next one of the chain, the heap's TID or where it went.
void describe_leaf(PageText& text, ByteView bytes, Json& item) {
  auto head = load_le<uint32_t>(bytes.data());
  auto info = load_le<uint16_t>(bytes.data() + 4);
  uint32_t state = head & 3;
  size_t size = head >> 2;
  item["tuple_state"] = kStates[state];
  if (size > bytes.size() || size < kLeafHeaderBytes)
    return text.fault("line {} is a tuple of {} bytes, in {}", item["line"].get<int>(), size, bytes.size());
  item["next"] = info & 0x3FFF;
  item["nulls"] = (info & 0x8000) != 0;
  if (state == kRedirect || state == kLive) item["ctid"] = tid(bytes.data() + 6);
  if (state == kLive) item["data"] = to_hex(bytes.subspan(kLeafHeaderBytes, size - kLeafHeaderBytes));
  if (state == kRedirect && size >= kLeafHeaderBytes + 4)
    item["xid"] = load_le<uint32_t>(bytes.data() + kLeafHeaderBytes);
}

// An inner tuple: a prefix, then nodes, each an index tuple whose TID is its downlink.
void describe_inner(PageText& text, ByteView bytes, Json& item) {
  auto head = load_le<uint32_t>(bytes.data());
  uint32_t state = head & 3, nodes = head >> 3 & 0x1FFF, prefix = head >> 16;
  size_t size = load_le<uint16_t>(bytes.data() + 4);
  item["tuple_state"] = kStates[state];
  if (state != kLive) return describe_leaf(text, bytes, item);
  if (size > bytes.size() || kInnerHeaderBytes + prefix > size)
    return text.fault("line {} is a tuple of {} bytes, in {}", item["line"].get<int>(), size, bytes.size());
  item["all_the_same"] = (head & 4) != 0;
  item["prefix"] = to_hex(bytes.subspan(kInnerHeaderBytes, prefix));
  Json links = Json::array();
  ByteView rest = bytes.subspan(kInnerHeaderBytes + prefix, size - kInnerHeaderBytes - prefix);
  for (uint32_t i = 0; i < nodes; i++) {
    ByteView node = redo::leading_index_tuple(rest);
    if (node.empty()) return text.fault("line {} ends before node {}", item["line"].get<int>(), i);
    links.push_back(
        {{"downlink", tid(node.data())}, {"label", to_hex(node.subspan(redo::kIndexTupleHeaderBytes))}});
    rest = rest.subspan(node.size());
  }
  item["nodes"] = std::move(links);
}

}  // namespace

void describe_spgist(PageText& text) {
  auto flags = text.opaque<uint16_t>(0);
  text.special = {{"flags", bit_names(flags, {{1 << 0, "SPGIST_META"},
                                              {1 << 1, "SPGIST_DELETED"},
                                              {1 << 2, "SPGIST_LEAF"},
                                              {1 << 3, "SPGIST_NULLS"}})},
                  {"redirections", text.opaque<uint16_t>(2)},
                  {"placeholders", text.opaque<uint16_t>(4)},
                  {"page_id", text.opaque<uint16_t>(6)}};
  if ((flags & kMeta) != 0) return describe_meta(text);
  bool leaf = (flags & kLeaf) != 0;
  each_line(text, kLeafHeaderBytes, [&](ByteView bytes, Json& item) {
    leaf ? describe_leaf(text, bytes, item) : describe_inner(text, bytes, item);
  });
}

}  // namespace argon::pg::describe
