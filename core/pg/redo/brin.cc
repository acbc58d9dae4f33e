// Redo of resource manager BRIN: access/brin/brin_xlog.c of PostgreSQL 15.

#include "core/pg/redo/context.h"
#include "core/pg/redo/heap_tuple.h"
#include "core/pg/redo/index_tuple.h"
#include "core/pg/redo/page_ids.h"

namespace argon::pg::redo {
namespace {

constexpr uint8_t kInitPage = 0x80;  // XLOG_BRIN_INIT_PAGE
constexpr uint8_t kOpMask = 0x70;
constexpr size_t kSpecialBytes = 8;
constexpr uint32_t kMetaMagic = 0xA8109CFA;
constexpr size_t kMetaBytes = 16;  // sizeof(BrinMetaPageData)
constexpr size_t kLastRevmapPage = kPageHeaderBytes + 12;
constexpr uint32_t kRevmapItems = 1360;  // REVMAP_PAGE_MAXITEMS

Status check_page_type(Page page, uint16_t type) {
  const uint8_t* special = page.special_area(kSpecialBytes);
  if (special != nullptr && load_le<uint16_t>(special + 6) == type) return {};
  return corrupt("not a BRIN page of type " + std::to_string(type));
}

// brin_page_init.
void new_page(Page page, uint16_t type) {
  page_init(page, kSpecialBytes);
  page.set(page.special() + size_t{6}, type);
}

// brin_metapage_init.
Status create_index(const Redo& r) {
  TRY(r.need_main(6));
  new_page(r.page, kBrinMetaPage);
  r.page.set(kPageHeaderBytes, kMetaMagic);
  r.page.set(kPageHeaderBytes + 4, uint32_t{r.main_at<uint16_t>(4)});
  r.page.set(kPageHeaderBytes + 8, r.main_at<uint32_t>(0));
  r.page.set_lower(kPageHeaderBytes + kMetaBytes);
  return r.done();
}

// brinSetHeapBlockItemptr.
Status set_revmap(const Redo& r, uint32_t pages_per_range, BlockNumber heap_block, BlockNumber block,
                  uint16_t number) {
  TRY(check_page_type(r.page, kBrinRevmapPage));
  if (pages_per_range == 0) return corrupt("no pages per range");
  uint32_t index = heap_block / pages_per_range % kRevmapItems;
  store_item_pointer(r.page.data() + kPageHeaderBytes + index * kItemPointerBytes, block, number);
  return r.done();
}

// brin_xlog_insert_update; `at` is where xl_brin_insert begins in the main data.
Status insert(const Redo& r, size_t at) {
  TRY(r.need_main(at + 10));
  auto number = r.main_at<uint16_t>(at + 8);
  if (r.id() == 1) {
    TRY_ASSIGN(BlockNumber regular, r.block_number(0));
    return set_revmap(r, r.main_at<uint32_t>(at + 4), r.main_at<uint32_t>(at), regular, number);
  }
  if (r.id() != 0) return r.unexpected_block();
  if (r.record.info & kInitPage) new_page(r.page, kBrinRegularPage);
  TRY(r.need_data(1));
  TRY(page_add_item(r.page, r.data(), number, kAddOverwrite));
  return r.done();
}

// brin_xlog_update: block 2 loses the old tuple.
Status update(const Redo& r) {
  if (r.id() != 2) return insert(r, 4);
  TRY(r.need_main(2));
  TRY(page_index_tuple_delete_no_compact(r.page, r.main_at<uint16_t>(0)));
  return r.done();
}

// brin_xlog_samepage_update.
Status update_in_place(const Redo& r) {
  TRY(r.need_main(2));
  TRY(page_index_tuple_overwrite(r.page, r.main_at<uint16_t>(0), r.data()));
  return r.done();
}

// brin_xlog_revmap_extend: block 0 is the meta page, block 1 the new page of the map.
Status extend_revmap(const Redo& r) {
  TRY(r.need_main(4));
  if (r.id() == 1) {
    new_page(r.page, kBrinRevmapPage);
    return r.done();
  }
  TRY(check_page_type(r.page, kBrinMetaPage));
  r.page.set(kLastRevmapPage, r.main_at<uint32_t>(0));
  r.page.set_lower(kPageHeaderBytes + kMetaBytes);
  return r.done();
}

// brin_xlog_desummarize_page: block 0 is the page of the map, block 1 the one with the tuple.
Status desummarize(const Redo& r) {
  TRY(r.need_main(10));
  if (r.id() == 0) return set_revmap(r, r.main_at<uint32_t>(0), r.main_at<uint32_t>(4), kInvalidBlock, 0);
  if (r.id() != 1) return r.unexpected_block();
  TRY(page_index_tuple_delete_no_compact(r.page, r.main_at<uint16_t>(8)));
  return r.done();
}

}  // namespace

// brin_redo.
Status redo_brin(const Redo& r) {
  switch (r.record.type() & kOpMask) {
    case 0x00:
      return create_index(r);
    case 0x10:
      return insert(r, 0);
    case 0x20:
      return update(r);
    case 0x30:
      return update_in_place(r);
    case 0x40:
      return extend_revmap(r);
    case 0x50:
      return desummarize(r);
    default:
      return unknown_type();
  }
}

}  // namespace argon::pg::redo
