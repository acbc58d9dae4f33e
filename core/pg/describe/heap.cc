// Heap pages and sequences: access/htup_details.h and commands/sequence.h of PostgreSQL 15.

#include "core/pg/describe/parts.h"
#include "core/pg/redo/heap_tuple.h"

namespace argon::pg::describe {
namespace {

constexpr uint16_t kHasNull = 0x0001;
constexpr uint16_t kHasOidOld = 0x0008;  // only where pg_upgrade brought it
constexpr uint16_t kAttributes = 0x07FF;

Json infomask_names(uint16_t mask, uint16_t mask2) {
  Json names = bit_names(mask, {{0x0001, "HEAP_HASNULL"},
                                {0x0002, "HEAP_HASVARWIDTH"},
                                {0x0004, "HEAP_HASEXTERNAL"},
                                {0x0008, "HEAP_HASOID_OLD"},
                                {0x0010, "HEAP_XMAX_KEYSHR_LOCK"},
                                {0x0020, "HEAP_COMBOCID"},
                                {0x0040, "HEAP_XMAX_EXCL_LOCK"},
                                {0x0080, "HEAP_XMAX_LOCK_ONLY"},
                                {0x0100, "HEAP_XMIN_COMMITTED"},
                                {0x0200, "HEAP_XMIN_INVALID"},
                                {0x0400, "HEAP_XMAX_COMMITTED"},
                                {0x0800, "HEAP_XMAX_INVALID"},
                                {0x1000, "HEAP_XMAX_IS_MULTI"},
                                {0x2000, "HEAP_UPDATED"},
                                {0x4000, "HEAP_MOVED_OFF"},
                                {0x8000, "HEAP_MOVED_IN"}});
  Json more =
      bit_names(mask2 & ~uint32_t{kAttributes},
                {{0x2000, "HEAP_KEYS_UPDATED"}, {0x4000, "HEAP_HOT_UPDATED"}, {0x8000, "HEAP_ONLY_TUPLE"}});
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

// The tuple's attributes; empty where its header does not add up.
ByteView describe_tuple(PageText& text, ByteView bytes, Json& item) {
  auto field = [&]<typename Integer>(size_t at, Integer) { return load_le<Integer>(bytes.data() + at); };
  auto mask2 = field(18, uint16_t{}), mask = field(20, uint16_t{});
  size_t header = bytes[22], attributes = mask2 & kAttributes;
  item["xmin"] = field(0, uint32_t{});
  item["xmax"] = field(4, uint32_t{});
  item["field3"] = field(8, uint32_t{});  // a command id or xvac
  item["ctid"] = tid(bytes.data() + 12);
  item["attributes"] = attributes;
  item["infomask"] = infomask_names(mask, mask2);
  item["hoff"] = header;
  size_t bitmap = (mask & kHasNull) != 0 ? (attributes + 7) / 8 : 0;
  size_t least = redo::kHeapTupleHeaderBytes + bitmap + ((mask & kHasOidOld) != 0 ? 4 : 0);
  if (header < least || header > bytes.size() || header != align8(header)) {
    text.fault("line {}: t_hoff is {}, of a tuple of {} bytes with {} attributes", item["line"].get<int>(),
               header, bytes.size(), attributes);
    return {};
  }
  if (bitmap > 0) {
    std::string present;  // as the server keeps it: 1 is an attribute that is there
    for (size_t i = 0; i < bitmap * 8; i++)
      present += (bytes[redo::kHeapTupleHeaderBytes + i / 8] >> i % 8 & 1) != 0 ? '1' : '0';
    item["bits"] = present;
  }
  if ((mask & kHasOidOld) != 0) item["oid"] = load_le<uint32_t>(bytes.data() + header - 4);
  ByteView data = bytes.subspan(header);
  item["data"] = to_hex(data);
  return data;
}

}  // namespace

void describe_heap(PageText& text) {
  each_line(text, redo::kHeapTupleHeaderBytes,
            [&](ByteView bytes, Json& item) { describe_tuple(text, bytes, item); });
  for (Json& item : text.items)
    if (item["state"] == "redirect") {
      item["to"] = item["offset"];
      int to = item["offset"].get<int>();
      if (to < 1 || to > line_count(text.page))
        text.fault("line {} redirects to line {}, which is not there", item["line"].get<int>(), to);
    }
}

// One tuple: last_value and log_cnt (int8), is_called.
void describe_sequence(PageText& text) {
  constexpr size_t kSequenceBytes = 17;
  each_line(text, redo::kHeapTupleHeaderBytes, [&](ByteView bytes, Json& item) {
    ByteView data = describe_tuple(text, bytes, item);
    if (data.size() < kSequenceBytes) {
      text.fault("line {} is too short for a sequence", item["line"].get<int>());
      return;
    }
    item["last_value"] = load_le<int64_t>(data.data());
    item["log_cnt"] = load_le<int64_t>(data.data() + 8);
    item["is_called"] = data[16] != 0;
  });
  if (text.items.size() != 1) text.fault("a sequence has one tuple, not {}", text.items.size());
}

}  // namespace argon::pg::describe
