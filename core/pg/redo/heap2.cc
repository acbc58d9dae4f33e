// Redo of resource manager Heap2: access/heap/heapam.c and pruneheap.c of PostgreSQL 15.

#include "core/pg/redo/context.h"
#include "core/pg/redo/heap_insert.h"
#include "core/pg/redo/heap_tuple.h"
#include "core/pg/redo/mutation.h"

namespace argon::pg::redo {
namespace {

constexpr uint8_t kInitPage = 0x80;
constexpr uint8_t kAllVisibleCleared = 1 << 0;
constexpr uint8_t kAllFrozenSet = 1 << 5;
constexpr size_t kMultiInsertHeaderBytes = 7;  // SizeOfMultiInsertTuple
constexpr size_t kFreezeTupleBytes = 12;       // sizeof(xl_heap_freeze_tuple)
constexpr uint8_t kFreezeXvac = 0x02;
constexpr uint8_t kInvalidXvac = 0x04;

Error no_item(uint16_t number) {
  return corrupt("no item " + std::to_string(number) + " on the page");
}

// heap_page_prune_execute.
Status prune(const Redo& r) {
  TRY(r.need_main(8));
  size_t redirected = r.main_at<uint16_t>(4);
  size_t dead = r.main_at<uint16_t>(6);
  size_t count = r.data().size() / 2;
  if (2 * redirected + dead > count) return corrupt("fewer items to prune than announced");
  auto number = [&](size_t i) { return load_le<uint16_t>(r.data().data() + 2 * i); };
  for (size_t i = 0; i < redirected; i++) {
    uint16_t from = number(2 * i);
    if (!r.page.has_item(from)) return no_item(from);
    r.page.set_item(from, ItemId::make(ItemId::kRedirect, number(2 * i + 1), 0));
  }
  for (size_t i = 2 * redirected; i < count; i++) {
    uint16_t at = number(i);
    if (!r.page.has_item(at)) return no_item(at);
    bool is_dead = i < 2 * redirected + dead;
    r.page.set_item(at, ItemId::make(is_dead ? ItemId::kDead : ItemId::kUnused, 0, 0));
  }
  TRY(page_repair_fragmentation(r.page));
  return r.done();
}

// heap_xlog_vacuum.
Status vacuum(const Redo& r) {
  TRY(r.need_main(2));
  size_t count = r.main_at<uint16_t>(0);
  TRY(r.need_data(2 * count));
  for (size_t i = 0; i < count; i++) {
    auto number = load_le<uint16_t>(r.data().data() + 2 * i);
    if (!r.page.has_item(number)) return no_item(number);
    r.page.set_item(number, ItemId{});
  }
  TRY(page_truncate_line_pointers(r.page));
  return r.done();
}

// heap_xlog_freeze_page, heap_execute_freeze_tuple.
Status freeze(const Redo& r) {
  TRY(r.need_main(6));
  size_t count = r.main_at<uint16_t>(4);
  TRY(r.need_data(count * kFreezeTupleBytes));
  for (size_t i = 0; i < count; i++) {
    const uint8_t* plan = r.data().data() + i * kFreezeTupleBytes;
    auto number = load_le<uint16_t>(plan + 4);
    ByteSpan item = r.page.stored_item(number, kHeapTupleHeaderBytes);
    if (item.empty()) return no_item(number);
    HeapTuple tuple(item.data());
    tuple.set_xmax(load_le<uint32_t>(plan));
    if (plan[10] & kFreezeXvac) tuple.set_xvac(kFrozenXid);
    if (plan[10] & kInvalidXvac) tuple.set_xvac(kInvalidXid);
    tuple.set_mask(load_le<uint16_t>(plan + 8));
    tuple.set_mask2(load_le<uint16_t>(plan + 6));
  }
  return r.done();
}

// visibilitymap_set, on the page of the map: it moves the LSN only if the bits change.
Status set_map_bits(const Redo& r, uint8_t flags) {
  TRY_ASSIGN(BlockNumber heap_block, r.block_number(1));
  if (heap_block / kHeapBlocksPerVmPage != r.block.blkno)
    return corrupt("the visibility map page is not the one of heap block " + std::to_string(heap_block));
  if (r.page.is_new()) page_init(r.page, 0);
  uint32_t bit = heap_block % kHeapBlocksPerVmPage;
  uint8_t& byte = r.page.data()[kPageHeaderBytes + bit / 4];
  uint32_t shift = bit % 4 * 2;
  if (flags == ((byte >> shift) & kVmBothBits)) return {};
  byte = static_cast<uint8_t>(byte | (uint32_t{flags} << shift));
  return r.done();
}

// heap_xlog_visible: block 0 is the page of the visibility map, block 1 the heap page.
Status visible(const Redo& r) {
  TRY(r.need_main(5));
  uint8_t flags = r.main()[4];
  if (flags & ~kVmBothBits) return corrupt("unknown visibility map flags " + std::to_string(flags));
  if (r.id() == 0) return set_map_bits(r, flags);
  if (r.id() != 1) return r.unexpected_block();
  r.page.set_flag(Page::kAllVisible);
  return r.settings.hint_bits_logged() ? r.done() : Status();
}

// heap_xlog_multi_insert.
Status multi_insert(const Redo& r) {
  TRY(r.need_main(4));
  bool init = r.record.info & kInitPage;
  uint8_t flags = r.main()[0];
  size_t count = r.main_at<uint16_t>(2);
  if (!init) TRY(r.need_main(4 + 2 * count));
  if (init) page_init(r.page, 0);
  ByteView data = r.data();
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    uint16_t number = init ? static_cast<uint16_t>(i + 1) : r.main_at<uint16_t>(4 + 2 * i);
    at += at % 2;
    if (at + kMultiInsertHeaderBytes > data.size()) return corrupt("block data ends before its tuples do");
    ByteView header = data.subspan(at, kMultiInsertHeaderBytes);
    size_t length = load_le<uint16_t>(header.data());
    at += kMultiInsertHeaderBytes;
    if (length > data.size() - at) return corrupt("block data ends inside a tuple");
    TRY_ASSIGN(uint8_t* body, make_tuple(r, header.subspan(2), number, length));
    put(body, data.subspan(at, length));
    at += length;
  }
  if (at != data.size()) return corrupt("block data is longer than its tuples");
  if (flags & kAllVisibleCleared) r.page.clear_flag(Page::kAllVisible);
  if (flags & kAllFrozenSet) r.page.set_flag(Page::kAllVisible);
  return r.done();
}

// heap_xlog_lock_updated.
Status lock_updated(const Redo& r) {
  TRY(r.need_main(8));
  auto number = r.main_at<uint16_t>(4);
  ByteSpan item = r.page.normal_item(number, kHeapTupleHeaderBytes);
  if (item.empty()) return no_item(number);
  HeapTuple tuple(item.data());
  tuple.forget_xmax();
  set_infobits(tuple, r.main()[6]);
  tuple.set_xmax(r.main_at<uint32_t>(0));
  return r.done();
}

}  // namespace

// heap2_redo. NEW_CID and REWRITE have no blocks.
Status redo_heap2(const Redo& r) {
  switch (r.record.type() & 0x70) {
    case 0x10:
      return prune(r);
    case 0x20:
      return vacuum(r);
    case 0x30:
      return freeze(r);
    case 0x40:
      return visible(r);
    case 0x50:
      return multi_insert(r);
    case 0x60:
      return lock_updated(r);
    default:
      return unknown_type();
  }
}

}  // namespace argon::pg::redo
