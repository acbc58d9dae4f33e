// Redo of resource manager Heap: access/heap/heapam.c of PostgreSQL 15.

#include <cstring>

#include "core/pg/redo/context.h"
#include "core/pg/redo/heap_insert.h"
#include "core/pg/redo/heap_tuple.h"

namespace argon::pg::redo {
namespace {

constexpr uint8_t kInitPage = 0x80;  // XLOG_HEAP_INIT_PAGE
constexpr uint8_t kInsertAllVisibleCleared = 1;
constexpr uint8_t kDeleteAllVisibleCleared = 1 << 0;
constexpr uint8_t kDeleteIsSuper = 1 << 3;
constexpr uint8_t kDeletePartitionMove = 1 << 4;
constexpr uint8_t kUpdateOldAllVisibleCleared = 1 << 0;
constexpr uint8_t kUpdateNewAllVisibleCleared = 1 << 1;
constexpr uint8_t kUpdatePrefixFromOld = 1 << 5;
constexpr uint8_t kUpdateSuffixFromOld = 1 << 6;

Error no_tuple(uint16_t number) {
  return corrupt("no tuple at item " + std::to_string(number));
}

// PageSetPrunable.
void set_prunable(Page page, Xid xid) {
  Xid old = page.prune_xid();
  bool normal = xid >= kFirstNormalXid && old >= kFirstNormalXid;
  bool precedes = normal ? static_cast<int32_t>(xid - old) < 0 : xid < old;
  if (old == kInvalidXid || precedes) page.set_prune_xid(xid);
}

// heap_xlog_insert.
Status insert(const Redo& r) {
  TRY(r.need_main(3));
  TRY(r.need_data(kHeapHeaderBytes + 1));
  auto number = r.main_at<uint16_t>(0);
  if (r.record.info & kInitPage) page_init(r.page, 0);
  ByteView header = r.data().first(kHeapHeaderBytes);
  ByteView body = r.data().subspan(kHeapHeaderBytes);
  TRY_ASSIGN(uint8_t* at, make_tuple(r, header, number, body.size()));
  put(at, body);
  if (r.main()[2] & kInsertAllVisibleCleared) r.page.clear_flag(Page::kAllVisible);
  return r.done();
}

// heap_xlog_delete.
Status remove(const Redo& r) {
  TRY(r.need_main(8));
  auto number = r.main_at<uint16_t>(4);
  uint8_t flags = r.main()[7];
  ByteSpan item = r.page.normal_item(number, kHeapTupleHeaderBytes);
  if (item.empty()) return no_tuple(number);
  HeapTuple tuple(item.data());
  tuple.forget_xmax();
  tuple.clear2(infomask2::kHotUpdated);
  set_infobits(tuple, r.main()[6]);
  if (flags & kDeleteIsSuper)
    tuple.set_xmin(kInvalidXid);
  else
    tuple.set_xmax(r.main_at<uint32_t>(0));
  tuple.set_first_command();
  set_prunable(r.page, r.record.xid);
  if (flags & kDeleteAllVisibleCleared) r.page.clear_flag(Page::kAllVisible);
  if (flags & kDeletePartitionMove)
    tuple.set_ctid(kInvalidBlock, kMovedPartitionsOffset);
  else
    tuple.set_ctid(r.block.blkno, number);
  return r.done();
}

struct UpdateRecord {
  Xid old_xmax;
  uint16_t old_number;
  uint8_t old_infobits;
  uint8_t flags;
  Xid new_xmax;
  uint16_t new_number;
};

// heap_xlog_update, the old version, which is `item`.
void update_old(const Redo& r, const UpdateRecord& u, ByteSpan item, BlockNumber new_block, bool hot) {
  HeapTuple tuple(item.data());
  tuple.forget_xmax();
  if (hot)
    tuple.add2(infomask2::kHotUpdated);
  else
    tuple.clear2(infomask2::kHotUpdated);
  set_infobits(tuple, u.old_infobits);
  tuple.set_xmax(u.old_xmax);
  tuple.set_first_command();
  tuple.set_ctid(new_block, u.new_number);
  set_prunable(r.page, r.record.xid);
  if (u.flags & kUpdateOldAllVisibleCleared) r.page.clear_flag(Page::kAllVisible);
}

// heap_xlog_update, the new version. `old` is its predecessor where both are on this page, else empty.
Status update_new(const Redo& r, const UpdateRecord& u, ByteView old) {
  bool has_prefix = u.flags & kUpdatePrefixFromOld;
  bool has_suffix = u.flags & kUpdateSuffixFromOld;
  if ((has_prefix || has_suffix) && old.empty())
    return corrupt("a tuple shares bytes with an old version on another page");
  TRY(r.need_data(2 * (size_t{has_prefix} + size_t{has_suffix}) + kHeapHeaderBytes));
  const uint8_t* at = r.data().data();
  size_t prefix = has_prefix ? load_le<uint16_t>(at) : 0;
  at += has_prefix ? 2 : 0;
  size_t suffix = has_suffix ? load_le<uint16_t>(at) : 0;
  at += has_suffix ? 2 : 0;
  ByteView header(at, kHeapHeaderBytes);
  ByteView body(at + kHeapHeaderBytes, r.data().data() + r.data().size());

  size_t bitmap = 0;  // what of the body comes before the prefix
  ByteView shared_prefix;
  if (prefix > 0) {
    bitmap = size_t{header[4]} - kHeapTupleHeaderBytes;
    size_t old_start = old[22];
    if (header[4] < kHeapTupleHeaderBytes || bitmap > body.size() || old_start + prefix > old.size())
      return corrupt("the tuple's prefix does not fit the old version");
    shared_prefix = old.subspan(old_start, prefix);
  }
  if (suffix > old.size()) return corrupt("the tuple's suffix is longer than the old version");
  // The new version is written into the hole while the old one is read.
  if (!old.empty() && old.data() < r.page.data() + r.page.upper())
    return corrupt("the old version does not lie among the items");
  TRY_ASSIGN(uint8_t* to, make_tuple(r, header, u.new_number, body.size() + prefix + suffix, u.new_xmax));
  to = put(to, body.first(bitmap));
  to = put(to, shared_prefix);
  to = put(to, body.subspan(bitmap));
  put(to, old.last(suffix));
  if (u.flags & kUpdateNewAllVisibleCleared) r.page.clear_flag(Page::kAllVisible);
  return {};
}

// heap_xlog_update: block 0 takes the new version, block 1 the old one where it is another page.
Status update(const Redo& r, bool hot) {
  TRY(r.need_main(14));
  UpdateRecord u{r.main_at<uint32_t>(0), r.main_at<uint16_t>(4), r.main()[6], r.main()[7],
                 r.main_at<uint32_t>(8), r.main_at<uint16_t>(12)};
  const DecodedBlock* old_block = r.record.block(1);
  TRY_ASSIGN(BlockNumber new_blkno, r.block_number(0));
  bool same_page = old_block == nullptr || old_block->blkno == new_blkno;
  if (r.id() > 1) return r.unexpected_block();
  if (r.id() == 0 && same_page && r.block.will_init)
    return corrupt("an update makes the page of its old version anew");
  ByteSpan old;
  if (r.id() == 1 || same_page) {
    old = r.page.normal_item(u.old_number, kHeapTupleHeaderBytes);
    if (old.empty()) return no_tuple(u.old_number);
    update_old(r, u, old, new_blkno, hot);
  } else if (r.record.info & kInitPage) {
    page_init(r.page, 0);
  }
  if (r.id() == 0) TRY(update_new(r, u, old));
  return r.done();
}

// heap_xlog_confirm.
Status confirm(const Redo& r) {
  TRY(r.need_main(2));
  auto number = r.main_at<uint16_t>(0);
  ByteSpan item = r.page.normal_item(number, kHeapTupleHeaderBytes);
  if (item.empty()) return no_tuple(number);
  HeapTuple(item.data()).set_ctid(r.block.blkno, number);
  return r.done();
}

// heap_xlog_lock.
Status lock(const Redo& r) {
  TRY(r.need_main(8));
  auto number = r.main_at<uint16_t>(4);
  ByteSpan item = r.page.normal_item(number, kHeapTupleHeaderBytes);
  if (item.empty()) return no_tuple(number);
  HeapTuple tuple(item.data());
  tuple.forget_xmax();
  set_infobits(tuple, r.main()[6]);
  if (tuple.xmax_locked_only()) {
    tuple.clear2(infomask2::kHotUpdated);
    tuple.set_ctid(r.block.blkno, number);
  }
  tuple.set_xmax(r.main_at<uint32_t>(0));
  tuple.set_first_command();
  return r.done();
}

// heap_xlog_inplace.
Status inplace(const Redo& r) {
  TRY(r.need_main(2));
  auto number = r.main_at<uint16_t>(0);
  ByteSpan item = r.page.normal_item(number, kHeapTupleHeaderBytes);
  if (item.empty()) return no_tuple(number);
  uint8_t start = HeapTuple(item.data()).hoff();
  if (start > item.size() || item.size() - start != r.data().size())
    return corrupt("in-place update of a tuple with another length");
  if (!r.data().empty()) std::memcpy(item.data() + start, r.data().data(), r.data().size());
  return r.done();
}

}  // namespace

// heap_redo. TRUNCATE has no blocks.
Status redo_heap(const Redo& r) {
  switch (r.record.type() & 0x70) {
    case 0x00:
      return insert(r);
    case 0x10:
      return remove(r);
    case 0x20:
      return update(r, false);
    case 0x40:
      return update(r, true);
    case 0x50:
      return confirm(r);
    case 0x60:
      return lock(r);
    case 0x70:
      return inplace(r);
    default:
      return unknown_type();
  }
}

}  // namespace argon::pg::redo
