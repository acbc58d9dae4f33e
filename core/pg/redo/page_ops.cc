#include "core/pg/redo/page_ops.h"

#include <array>
#include <cstring>

namespace argon::pg::redo {
namespace {

std::string header_text(Page page) {
  return "lower " + std::to_string(page.lower()) + ", upper " + std::to_string(page.upper()) + ", special " +
         std::to_string(page.special());
}

[[gnu::cold]] Error bad_line_pointer(uint32_t number, ItemId id) {
  return corrupt("line pointer " + std::to_string(number) + " points outside the items: offset " +
                 std::to_string(id.offset()) + ", length " + std::to_string(id.length()));
}

// Where a page's items may lie; kept by loops over line pointers, whose writes hide that it stays the same.
struct ItemSpace {
  uint32_t upper, special;

  explicit ItemSpace(Page page) : upper(page.upper()), special(page.special()) {}
  bool holds(ItemId id) const {
    return id.has_storage() && id.offset() >= upper && id.offset() % 8 == 0 &&
           id.offset() + align8(id.length()) <= special;
  }
};

bool inside_items(Page page, ItemId id) {
  return ItemSpace(page).holds(id);
}

// What stays on a page, in line pointer order: where it is and where its line pointer is.
struct Kept {
  uint16_t slot;    // index into the line pointer array
  uint16_t offset;  // of the item's bytes
  uint16_t length;  // rounded up to 8
};

struct KeptItems {
  std::array<Kept, kMaxItemIds> items;
  size_t count = 0;
  uint32_t bytes = 0;
  uint16_t last_offset;
  bool descending = true;

  explicit KeptItems(Page page) : last_offset(page.special()) {}
  void add(uint16_t slot, ItemId id) {
    descending = descending && id.offset() < last_offset;
    last_offset = id.offset();
    auto length = static_cast<uint16_t>(align8(id.length()));
    items[count++] = {slot, id.offset(), length};
    bytes += length;
  }
};

// Runs of neighbouring items are moved by one copy: `from` gives the bytes of an old offset.
template <typename Copy>
void move_items(Page page, const KeptItems& kept, Copy copy) {
  uint32_t upper = page.special();
  uint32_t tail = 0;  // the pending run is [head, tail) of the old place
  uint32_t head = 0;
  for (size_t i = 0; i < kept.count; i++) {
    const Kept& item = kept.items[i];
    if (tail == 0 || head != uint32_t{item.offset} + item.length) {
      if (tail != 0) copy(upper, head, tail - head);
      tail = uint32_t{item.offset} + item.length;
    }
    upper -= item.length;
    head = item.offset;
    uint32_t number = item.slot + 1u;
    page.set_item(number, page.item(number).moved(static_cast<int>(upper) - item.offset));
  }
  if (tail != 0) copy(upper, head, tail - head);
  page.set_upper(upper);
}

// compactify_tuples: moves the kept items to the end of the page, in line pointer order.
// REQUIRES: items inside the page, together not larger than special - lower.
void compactify(Page page, const KeptItems& kept) {
  if (kept.descending) {
    move_items(page, kept, [&](uint32_t to, uint32_t from, uint32_t n) {
      if (to != from) std::memmove(page.data() + to, page.data() + from, n);
    });
    return;
  }
  std::array<uint8_t, kPageBytes> scratch;
  uint16_t start = page.upper();
  std::memcpy(scratch.data() + start, page.data() + start, page.special() - start);
  move_items(page, kept, [&](uint32_t to, uint32_t from, uint32_t n) {
    std::memcpy(page.data() + to, scratch.data() + from, n);
  });
}

// Closes the gap of the item at `offset` by moving everything before it up by `size` bytes
// (negative: down), and fixes the line pointers that pointed there.
void shift_items_before(Page page, uint16_t offset, int size) {
  uint8_t* start = page.data() + page.upper();
  std::memmove(start + size, start, offset - page.upper());
  page.set_upper(static_cast<uint32_t>(page.upper() + size));
  for (uint32_t n = 1, end = page.max_offset(); n <= end; n++) {
    ItemId id = page.item(n);
    if (id.has_storage() && id.offset() <= offset) page.set_item(n, id.moved(size));
  }
}

// Finds a slot that is neither used nor has storage, only where the page's hint says so.
uint16_t find_free_slot(Page page, uint16_t limit) {
  if (!page.has_flag(Page::kHasFreeLines)) return limit;
  for (uint16_t n = 1; n < limit; n++) {
    ItemId id = page.item(n);
    if (!id.used() && !id.has_storage()) return n;
  }
  page.clear_flag(Page::kHasFreeLines);
  return limit;
}

}  // namespace

Error corrupt(std::string what) {
  return Error(Code::Corrupt, std::move(what));
}

Error header_out_of_order(Page page) {
  return corrupt("page header out of order: " + header_text(page));
}

void page_init(Page page, size_t special_bytes) {
  auto special = static_cast<uint16_t>(kPageBytes - align8(special_bytes));
  std::memset(page.data(), 0, kPageBytes);
  page.set_lower(kPageHeaderBytes);
  page.set_upper(special);
  page.set(16, special);
  page.set(18, kPageSizeAndVersion);
}

Result<AddedItem> page_make_item(Page page, size_t size, uint16_t number, uint32_t flags) {
  TRY(check_header(page));
  auto limit = static_cast<uint16_t>(page.max_offset() + 1);
  bool shuffle = false;
  if (number == 0) {
    number = find_free_slot(page, limit);
  } else if (number < limit) {
    if (flags & kAddOverwrite) {
      ItemId id = page.item(number);
      if (id.used() || id.has_storage())
        return corrupt("item " + std::to_string(number) + " is in use and would be overwritten");
    } else {
      shuffle = true;
    }
  }
  if (number > limit)
    return corrupt("item " + std::to_string(number) + " lies beyond the next free one, " +
                   std::to_string(limit));
  if ((flags & kAddHeap) && number > kMaxHeapTuplesPerPage)
    return corrupt("more line pointers than a heap page can have");

  uint32_t lower = page.lower() + (number == limit || shuffle ? kItemIdBytes : 0u);
  uint64_t aligned = align8(size);
  if (lower + aligned > page.upper())
    return corrupt("no room for an item of " + std::to_string(size) + " bytes: " + header_text(page));
  auto upper = static_cast<uint32_t>(page.upper() - aligned);
  if (shuffle) {
    uint8_t* slot = page.data() + kPageHeaderBytes + (number - 1) * kItemIdBytes;
    std::memmove(slot + kItemIdBytes, slot, (limit - number) * size_t{kItemIdBytes});
  }
  page.set_item(number, ItemId::make(ItemId::kNormal, upper, static_cast<uint32_t>(size)));
  page.set_lower(lower);
  page.set_upper(upper);
  return AddedItem{number, page.data() + upper};
}

Result<uint16_t> page_add_item(Page page, ByteView item, uint16_t number, uint32_t flags) {
  TRY_ASSIGN(AddedItem added, page_make_item(page, item.size(), number, flags));
  if (!item.empty()) std::memcpy(added.at, item.data(), item.size());
  return added.number;
}

uint32_t page_exact_free_space(Page page) {
  return page.upper() < page.lower() ? 0u : static_cast<uint32_t>(page.upper() - page.lower());
}

Status page_index_tuple_delete(Page page, uint16_t number) {
  TRY(check_header(page));
  if (!page.has_item(number)) return corrupt("no index item " + std::to_string(number));
  ItemId id = page.item(number);
  if (!inside_items(page, id)) return bad_line_pointer(number, id);
  uint8_t* slot = page.data() + kPageHeaderBytes + (number - 1) * kItemIdBytes;
  std::memmove(slot, slot + kItemIdBytes, (page.max_offset() - number) * size_t{kItemIdBytes});
  page.set_lower(page.lower() - kItemIdBytes);
  shift_items_before(page, id.offset(), static_cast<int>(align8(id.length())));
  return {};
}

Status page_index_tuple_delete_no_compact(Page page, uint16_t number) {
  TRY(check_header(page));
  if (!page.has_item(number)) return corrupt("no index item " + std::to_string(number));
  ItemId id = page.item(number);
  if (!inside_items(page, id)) return bad_line_pointer(number, id);
  if (number < page.max_offset())
    page.set_item(number, ItemId{});
  else
    page.set_lower(page.lower() - kItemIdBytes);
  shift_items_before(page, id.offset(), static_cast<int>(align8(id.length())));
  return {};
}

Status page_index_multi_delete(Page page, ByteView numbers) {
  size_t count = numbers.size() / 2;
  auto wanted = [&](size_t i) { return load_le<uint16_t>(numbers.data() + 2 * i); };
  if (count <= 2) {
    for (size_t i = count; i-- > 0;) TRY(page_index_tuple_delete(page, wanted(i)));
    return {};
  }
  TRY(check_header(page));
  ItemSpace space(page);
  KeptItems kept(page);
  std::array<ItemId, kMaxItemIds> ids;
  size_t next = 0;
  for (uint32_t n = 1, end = page.max_offset(); n <= end; n++) {
    ItemId id = page.item(n);
    if (!space.holds(id)) return bad_line_pointer(n, id);
    if (next < count && wanted(next) == n) {
      next++;
      continue;
    }
    ids[kept.count] = id;
    kept.add(static_cast<uint16_t>(kept.count), id);
  }
  if (next != count) return corrupt("items to delete are not on the page or out of order");
  if (kept.bytes > uint32_t{page.special()} - page.lower())
    return corrupt("items overlap: together " + std::to_string(kept.bytes) + " bytes");
  std::memcpy(page.data() + kPageHeaderBytes, ids.data(), kept.count * kItemIdBytes);
  page.set_lower(static_cast<uint32_t>(kPageHeaderBytes + kept.count * kItemIdBytes));
  if (kept.count > 0)
    compactify(page, kept);
  else
    page.set_upper(page.special());
  return {};
}

Status page_index_tuple_overwrite(Page page, uint16_t number, ByteView item) {
  TRY(check_header(page));
  if (!page.has_item(number)) return corrupt("no index item " + std::to_string(number));
  ItemId id = page.item(number);
  if (!inside_items(page, id)) return bad_line_pointer(number, id);
  uint64_t old_size = align8(id.length());
  uint64_t new_size = align8(item.size());
  if (item.empty() || item.size() >= kPageBytes || new_size > old_size + page_exact_free_space(page))
    return corrupt("no room to replace item " + std::to_string(number) + " by " +
                   std::to_string(item.size()) + " bytes");
  int shrink = static_cast<int>(old_size) - static_cast<int>(new_size);
  if (shrink != 0) shift_items_before(page, id.offset(), shrink);
  auto offset = static_cast<uint32_t>(id.offset() + shrink);
  page.set_item(number, ItemId::make(id.state(), offset, static_cast<uint32_t>(item.size())));
  std::memcpy(page.data() + offset, item.data(), item.size());
  return {};
}

Status page_repair_fragmentation(Page page) {
  TRY(check_header(page));
  ItemSpace space(page);
  KeptItems kept(page);
  uint32_t lines = page.max_offset();
  uint32_t last_used = 0;
  uint32_t unused = 0;
  for (uint32_t n = 1; n <= lines; n++) {
    ItemId id = page.item(n);
    if (!id.used()) {
      page.set_item(n, ItemId{});
      unused++;
      continue;
    }
    last_used = n;
    if (!id.has_storage()) continue;
    if (!space.holds(id)) return bad_line_pointer(n, id);
    kept.add(static_cast<uint16_t>(n - 1), id);
  }
  if (kept.bytes > uint32_t{page.special()} - page.lower())
    return corrupt("items overlap: together " + std::to_string(kept.bytes) + " bytes");
  if (kept.count == 0)
    page.set_upper(page.special());
  else
    compactify(page, kept);
  if (last_used != lines) {
    unused -= lines - last_used;
    page.set_lower(page.lower() - (lines - last_used) * kItemIdBytes);
  }
  if (unused > 0)
    page.set_flag(Page::kHasFreeLines);
  else
    page.clear_flag(Page::kHasFreeLines);
  return {};
}

Status page_truncate_line_pointers(Page page) {
  TRY(check_header(page));
  uint32_t lines = page.max_offset();
  uint32_t keep = lines;
  while (keep > 1 && !page.item(keep).used()) keep--;
  bool free_lines = false;
  for (uint32_t n = keep; n >= 1 && !free_lines; n--) free_lines = !page.item(n).used();
  page.set_lower(page.lower() - (lines - keep) * kItemIdBytes);
  if (free_lines)
    page.set_flag(Page::kHasFreeLines);
  else
    page.clear_flag(Page::kHasFreeLines);
  return {};
}

}  // namespace argon::pg::redo
