// The page primitives that redo is made of, byte for byte as PostgreSQL 15 does them.
//
// Each mirrors a function of storage/page/bufpage.c, including the bytes it leaves behind in the
// hole. Where the server would PANIC or leave its buffer (a corrupt page, a record that does not
// fit), these return Code::Corrupt with what was wrong; the page may then be half changed and
// must be thrown away. None allocates except for an error.

#pragma once

#include "core/base/result.h"
#include "core/pg/redo/page.h"

namespace argon::pg::redo {

enum AddItem : uint32_t {
  kAddDefault = 0,
  kAddOverwrite = 1,  // PAI_OVERWRITE: take the slot as it is, which must be unused or the next one
  kAddHeap = 2,       // PAI_IS_HEAP: at most MaxHeapTuplesPerPage line pointers
};

// Code::Corrupt with `what`.
[[gnu::cold]] Error corrupt(std::string what);

// Page::header_sane(), or what is wrong with it.
[[gnu::cold]] Error header_out_of_order(Page page);
inline Status check_header(Page page) {
  if (page.header_sane()) [[likely]]
    return {};
  return header_out_of_order(page);
}

// PageInit: zeroes the page and sets its header; special_bytes is rounded up to 8.
void page_init(Page page, size_t special_bytes);

// PageAddItemExtended. number 0 finds a free slot. Gives the number used; an error where the
// server would return InvalidOffsetNumber or PANIC. `item` must not overlap the page.
Result<uint16_t> page_add_item(Page page, ByteView item, uint16_t number, uint32_t flags);

// The same for an item of `size` bytes that the caller writes where `at` points to: all of it, and nothing
// else. What lay in the hole is there until then.
struct AddedItem {
  uint16_t number;
  uint8_t* at;
};
Result<AddedItem> page_make_item(Page page, size_t size, uint16_t number, uint32_t flags);

// PageGetExactFreeSpace and PageGetFreeSpace.
uint32_t page_exact_free_space(Page page);

// PageIndexTupleDelete, PageIndexTupleDeleteNoCompact.
Status page_index_tuple_delete(Page page, uint16_t number);
Status page_index_tuple_delete_no_compact(Page page, uint16_t number);

// PageIndexMultiDelete. `numbers` are little-endian uint16 in ascending order, unaligned.
Status page_index_multi_delete(Page page, ByteView numbers);

// PageIndexTupleOverwrite. `item` must not overlap the page.
Status page_index_tuple_overwrite(Page page, uint16_t number, ByteView item);

// PageRepairFragmentation, PageTruncateLinePointerArray.
Status page_repair_fragmentation(Page page);
Status page_truncate_line_pointers(Page page);

}  // namespace argon::pg::redo
