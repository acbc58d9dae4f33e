#include "core/pg/describe/describe.h"

#include "core/pg/describe/parts.h"
#include "core/pg/redo/index_tuple.h"
#include "core/pg/redo/page_ids.h"

namespace argon::pg {

using describe::Json;
using describe::PageText;

namespace {

bool bounds_are_sane(ByteView page) {
  uint16_t lower = page_lower(page), upper = page_upper(page), special = page_special(page);
  return lower >= page::kHeader && lower <= upper && upper <= special && special <= kBlockSize &&
         special == align8(special);
}

Json header_of(ByteView page, BlockNumber block, Json& faults) {
  Status checked = check_page(page, block, false);
  if (!checked.ok()) faults.push_back(checked.error().message());
  auto size_version = load_le<uint16_t>(page.data() + page::kSizeVersion);
  if (size_version != (kBlockSize | page::kLayoutVersion) && !page_is_new(page))
    faults.push_back(fmt::format("page size {} and layout version {}, not 8192 and 4", size_version & 0xFF00,
                                 size_version & 0xFF));
  Json header{{"lsn", to_string(page_lsn(page))},
              {"checksum", page_checksum(page)},
              {"flags", describe::bit_names(page_flags(page), {{page::kHasFreeLines, "PD_HAS_FREE_LINES"},
                                                               {page::kFull, "PD_PAGE_FULL"},
                                                               {page::kAllVisible, "PD_ALL_VISIBLE"}})},
              {"lower", page_lower(page)},
              {"upper", page_upper(page)},
              {"special", page_special(page)},
              {"page_size", size_version & 0xFF00},
              {"version", size_version & 0xFF},
              {"prune_xid", load_le<uint32_t>(page.data() + page::kPruneXid)},
              {"free_bytes", free_space(page)}};
  if (page_checksum(page) != 0)
    header["checksum_is_right"] = page_checksum(page) == compute_page_checksum(page, block);
  return header;
}

void describe_as(PageKind kind, PageText& text) {
  switch (kind) {
    case PageKind::Heap:
      return describe::describe_heap(text);
    case PageKind::Sequence:
      return describe::describe_sequence(text);
    case PageKind::Btree:
      return describe::describe_btree(text);
    case PageKind::Hash:
      return describe::describe_hash(text);
    case PageKind::Gin:
      return describe::describe_gin(text);
    case PageKind::Gist:
      return describe::describe_gist(text);
    case PageKind::SpGist:
      return describe::describe_spgist(text);
    case PageKind::Brin:
      return describe::describe_brin(text);
    case PageKind::VisibilityMap:
      return describe::describe_visibility_map(text);
    case PageKind::FreeSpaceMap:
      return describe::describe_free_space_map(text);
    case PageKind::New:
    case PageKind::Unknown:
      return;
  }
}

}  // namespace

std::string_view to_string(PageKind kind) {
  switch (kind) {
    case PageKind::New:
      return "new";
    case PageKind::Heap:
      return "heap";
    case PageKind::Sequence:
      return "sequence";
    case PageKind::Btree:
      return "btree";
    case PageKind::Hash:
      return "hash";
    case PageKind::Gin:
      return "gin";
    case PageKind::Gist:
      return "gist";
    case PageKind::SpGist:
      return "spgist";
    case PageKind::Brin:
      return "brin";
    case PageKind::VisibilityMap:
      return "visibility map";
    case PageKind::FreeSpaceMap:
      return "free space map";
    case PageKind::Unknown:
      return "unknown";
  }
  return "unknown";
}

PageKind page_kind(ByteView page, Fork fork, BlockNumber block) {
  if (page_is_new(page)) return page_is_zero(page) ? PageKind::New : PageKind::Unknown;
  if (!bounds_are_sane(page)) return PageKind::Unknown;
  if (fork == Fork::Vm) return PageKind::VisibilityMap;
  if (fork == Fork::Fsm) return PageKind::FreeSpaceMap;
  size_t special = kBlockSize - page_special(page);
  auto last = load_le<uint16_t>(page.data() + kBlockSize - 2);
  if (special == 0) return PageKind::Heap;
  if (special == 16) {
    if (last == redo::kHashPageId) return PageKind::Hash;
    if (last == redo::kGistPageId) return PageKind::Gist;
    return last <= redo::kMaxBtreeCycleId ? PageKind::Btree : PageKind::Unknown;
  }
  if (special != 8) return PageKind::Unknown;
  if (last == redo::kSpGistPageId) return PageKind::SpGist;
  if (last >= redo::kBrinMetaPage && last <= redo::kBrinRegularPage) return PageKind::Brin;
  // GIN pages have no id: a right link, a count and small flags. A sequence has one page.
  if (block == 0 && load_le<uint32_t>(page.data() + page_special(page)) == redo::kSequenceMagic)
    return PageKind::Sequence;
  return last <= 0xFF ? PageKind::Gin : PageKind::Unknown;
}

Json describe_page(ByteView page, Fork fork, BlockNumber block) {
  PageKind kind = page_kind(page, fork, block);
  PageText text{page, block};
  Json out{{"kind", to_string(kind)}};
  out["header"] = header_of(page, block, text.faults);
  describe_as(kind, text);
  if (!text.special.empty()) out["special"] = std::move(text.special);
  if (!text.content.empty()) out["content"] = std::move(text.content);
  out["items"] = std::move(text.items);
  out["faults"] = std::move(text.faults);
  return out;
}

namespace describe {

Json bit_names(uint32_t bits, std::initializer_list<BitName> names) {
  Json set = Json::array();
  for (const BitName& name : names) {
    if ((bits & name.bit) != 0) set.push_back(name.name);
    bits &= ~name.bit;
  }
  if (bits != 0) set.push_back(fmt::format("0x{:x}", bits));
  return set;
}

std::string tid(const uint8_t* at) {
  return fmt::format("({},{})", redo::load_item_block(at), load_le<uint16_t>(at + 4));
}

ByteView begin_line(PageText& text, uint16_t line, size_t least) {
  constexpr const char* kStates[] = {"unused", "normal", "redirect", "dead"};
  LinePointer pointer = line_pointer(text.page, line);
  text.items.push_back({{"line", line},
                        {"state", kStates[static_cast<int>(pointer.state)]},
                        {"offset", pointer.offset},
                        {"length", pointer.length}});
  bool stored = pointer.length != 0;
  if (!stored && pointer.state == LineState::Normal) text.fault("line {} is normal, but has no bytes", line);
  if (!stored || pointer.state == LineState::Unused || pointer.state == LineState::Redirect) return {};
  ByteView bytes = item(text.page, line);
  if (bytes.empty() || pointer.offset < page_upper(text.page)) {
    text.fault("line {} points outside the page's items, to {} and {} bytes", line, pointer.offset,
               pointer.length);
    return {};
  }
  if (bytes.size() < least) {
    text.fault("line {} has {} bytes, less than its header's {}", line, bytes.size(), least);
    return {};
  }
  return bytes;
}

IndexTuple describe_index_tuple(PageText& text, ByteView bytes, Json& item) {
  constexpr uint16_t kHasNulls = 0x8000, kHasVarwidths = 0x4000;
  constexpr size_t kNullBitmapBytes = 4;  // of INDEX_MAX_KEYS bits
  IndexTuple tuple{redo::index_tuple_info(bytes.data()), redo::index_tuple_size(bytes.data()), {}};
  if (tuple.size > bytes.size() || tuple.size < redo::kIndexTupleHeaderBytes) {
    text.fault("line {} is a tuple of {} bytes, in {}", item["line"].get<int>(), tuple.size, bytes.size());
    tuple.size = bytes.size();
  }
  bool nulls = (tuple.info & kHasNulls) != 0;
  item["ctid"] = tid(bytes.data());
  item["nulls"] = nulls;
  item["vars"] = (tuple.info & kHasVarwidths) != 0;
  size_t begin =
      nulls ? align8(redo::kIndexTupleHeaderBytes + kNullBitmapBytes) : redo::kIndexTupleHeaderBytes;
  if (begin <= tuple.size) tuple.data = bytes.subspan(begin, tuple.size - begin);
  return tuple;
}

}  // namespace describe

}  // namespace argon::pg
