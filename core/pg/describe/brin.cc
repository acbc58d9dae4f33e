// BRIN pages: access/brin_page.h and brin_tuple.h of PostgreSQL 15.

#include "core/pg/describe/parts.h"
#include "core/pg/redo/heap_tuple.h"
#include "core/pg/redo/index_tuple.h"
#include "core/pg/redo/page_ids.h"

namespace argon::pg::describe {
namespace {

constexpr size_t kTupleHeaderBytes = 5;  // SizeOfBrinTuple
constexpr uint32_t kRevmapItems = 1360;  // REVMAP_PAGE_MAXITEMS

const char* type_name(uint16_t type) {
  if (type == redo::kBrinMetaPage) return "meta";
  return type == redo::kBrinRevmapPage ? "revmap" : "regular";
}

void describe_meta(PageText& text) {
  constexpr size_t kAt = page::kHeader;
  text.content = {{"magic", fmt::format("0x{:08X}", text.at<uint32_t>(kAt))},
                  {"version", text.at<uint32_t>(kAt + 4)},
                  {"pagesperrange", text.at<uint32_t>(kAt + 8)},
                  {"lastrevmappage", text.at<uint32_t>(kAt + 12)}};
}

// One TID a range; "(0,0)" for a range that is not summarized.
void describe_revmap(PageText& text) {
  Json tids = Json::array();
  for (uint32_t i = 0; i < kRevmapItems; i++)
    tids.push_back(tid(text.page.data() + page::kHeader + i * redo::kItemPointerBytes));
  text.content["pages"] = std::move(tids);
}

void describe_tuple(PageText& text, ByteView bytes, Json& item) {
  uint8_t info = bytes[4];
  size_t data = info & 0x1F;
  item["blknum"] = load_le<uint32_t>(bytes.data());
  item["empty"] = (info & 0x20) != 0;
  item["placeholder"] = (info & 0x40) != 0;
  item["nulls"] = (info & 0x80) != 0;
  if (data < kTupleHeaderBytes || data > bytes.size())
    return text.fault("line {}: its values are at {}, of {} bytes", item["line"].get<int>(), data,
                      bytes.size());
  item["data"] = to_hex(bytes.subspan(data));
}

}  // namespace

void describe_brin(PageText& text) {
  auto type = text.opaque<uint16_t>(6);
  text.special = {{"flags", bit_names(text.opaque<uint16_t>(4), {{1 << 0, "BRIN_EVACUATE_PAGE"}})},
                  {"type", type_name(type)}};
  if (type == redo::kBrinMetaPage) return describe_meta(text);
  if (type == redo::kBrinRevmapPage) return describe_revmap(text);
  each_line(text, kTupleHeaderBytes, [&](ByteView bytes, Json& item) { describe_tuple(text, bytes, item); });
}

}  // namespace argon::pg::describe
