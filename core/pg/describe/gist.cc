// GiST pages: access/gist.h of PostgreSQL 15.

#include "core/pg/describe/parts.h"
#include "core/pg/redo/index_tuple.h"

namespace argon::pg::describe {

void describe_gist(PageText& text) {
  constexpr uint16_t kLeaf = 1 << 0, kDeleted = 1 << 1;
  auto flags = text.opaque<uint16_t>(12);
  text.special = {
      {"nsn", to_string(Lsn(uint64_t{text.opaque<uint32_t>(0)} << 32 | text.opaque<uint32_t>(4)))},
      {"rightlink", text.opaque<uint32_t>(8)},
      {"flags", bit_names(flags, {{1 << 0, "F_LEAF"},
                                  {1 << 1, "F_DELETED"},
                                  {1 << 2, "F_TUPLES_DELETED"},
                                  {1 << 3, "F_FOLLOW_RIGHT"},
                                  {1 << 4, "F_HAS_GARBAGE"}})},
      {"page_id", text.opaque<uint16_t>(14)}};
  if ((flags & kDeleted) != 0) {
    text.content["delete_xid"] = text.at<uint64_t>(page::kHeader);
    return;
  }
  each_line(text, redo::kIndexTupleHeaderBytes, [&](ByteView bytes, Json& item) {
    IndexTuple tuple = describe_index_tuple(text, bytes, item);
    item["dead"] = item["state"] == "dead";
    if ((flags & kLeaf) == 0) item["downlink"] = redo::load_item_block(bytes.data());
    item["data"] = to_hex(tuple.data);
  });
}

}  // namespace argon::pg::describe
