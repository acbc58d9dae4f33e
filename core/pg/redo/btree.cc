// Redo of resource manager Btree: access/nbtree/nbtxlog.c of PostgreSQL 15.

#include <array>
#include <cstring>

#include "core/pg/page.h"
#include "core/pg/redo/btree_posting.h"
#include "core/pg/redo/context.h"
#include "core/pg/redo/index_tuple.h"

namespace argon::pg::redo {
namespace {

constexpr uint16_t kLeaf = 1 << 0;
constexpr uint16_t kRoot = 1 << 1;
constexpr uint16_t kDeleted = 1 << 2;
constexpr uint16_t kMeta = 1 << 3;
constexpr uint16_t kHalfDead = 1 << 4;
constexpr uint16_t kHasGarbage = 1 << 6;
constexpr uint16_t kIncompleteSplit = 1 << 7;
constexpr uint16_t kHasFullXid = 1 << 8;
constexpr uint16_t kHighKey = 1;
constexpr BlockNumber kNone = 0;
constexpr size_t kOpaqueBytes = 16;
constexpr uint32_t kMagic = 0x053162;
constexpr size_t kMetaRecordBytes = 28;  // sizeof(xl_btree_metadata)
constexpr size_t kMetaPageBytes = 48;    // sizeof(BTMetaPageData)
constexpr size_t kMaxItemBytes = 2704;   // BTMaxItemSize

// BTPageOpaqueData in place.
class Opaque {
 public:
  explicit Opaque(uint8_t* at) : at_(at) {}
  BlockNumber next() const { return load_le<uint32_t>(at_ + 4); }
  uint16_t flags() const { return load_le<uint16_t>(at_ + 12); }
  void set_prev(BlockNumber block) const { store_le(at_, block); }
  void set_next(BlockNumber block) const { store_le(at_ + 4, block); }
  void set_level(uint32_t level) const { store_le(at_ + 8, level); }
  void set_flags(uint16_t flags) const { store_le(at_ + 12, flags); }
  void clear_flag(uint16_t flag) const { set_flags(static_cast<uint16_t>(flags() & ~flag)); }
  void set_cycle_id(uint16_t id) const { store_le(at_ + 14, id); }
  // P_FIRSTDATAKEY.
  uint16_t first_data_item() const { return next() == kNone ? 1 : 2; }

 private:
  uint8_t* at_;
};

Result<Opaque> opaque_of(Page page) {
  uint8_t* at = page.special_area(kOpaqueBytes);
  if (at == nullptr)
    return corrupt("not a btree page: special area of " + std::to_string(page.special_bytes()));
  return Opaque(at);
}

// _bt_pageinit, and the fields that every new page gets.
Opaque new_page(Page page, BlockNumber prev, BlockNumber next, uint32_t level, uint16_t flags) {
  page_init(page, kOpaqueBytes);
  Opaque opaque(page.data() + page.special());
  opaque.set_prev(prev);
  opaque.set_next(next);
  opaque.set_level(level);
  opaque.set_flags(flags);
  return opaque;
}

// _bt_restore_page: `items` is what was the upper part of a page; the last item comes first.
Status restore_items(Page page, ByteView items) {
  std::array<uint16_t, kMaxItemIds> starts;
  size_t count = 0;
  for (size_t at = 0; at < items.size();) {
    ByteView tuple = leading_index_tuple(items.subspan(at));
    if (tuple.empty() || count == starts.size()) return corrupt("items of a page do not add up");
    starts[count++] = static_cast<uint16_t>(at);
    at += tuple.size();
  }
  for (size_t i = count; i-- > 0;) {
    ByteView tuple = leading_index_tuple(items.subspan(starts[i]));
    TRY(page_add_item(page, tuple, static_cast<uint16_t>(count - i), kAddDefault));
  }
  return {};
}

// _bt_restore_meta.
Status restore_meta(const Redo& r) {
  TRY(r.need_data(kMetaRecordBytes));
  const uint8_t* from = r.data().data();
  new_page(r.page, kNone, kNone, 0, kMeta);
  uint8_t* meta = r.page.data() + kPageHeaderBytes;
  store_le(meta, kMagic);
  std::memcpy(meta + 4, from, 24);  // version, root, level, fastroot, fastlevel, deleted pages
  store_le(meta + 32, -1.0);        // heap tuples at the last cleanup: no longer kept
  meta[40] = from[24];              // allequalimage
  r.page.set_lower(kPageHeaderBytes + kMetaPageBytes);
  return r.done();
}

// _bt_clear_incomplete_split.
Status clear_incomplete_split(const Redo& r) {
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  opaque.clear_flag(kIncompleteSplit);
  return r.done();
}

Status set_left_link(const Redo& r, BlockNumber block) {
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  opaque.set_prev(block);
  return r.done();
}

Status set_right_link(const Redo& r, BlockNumber block) {
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  opaque.set_next(block);
  return r.done();
}

// A private copy of an item that swap_posting changes.
struct ItemCopy {
  std::array<uint8_t, kPageBytes> bytes;
  ByteSpan of(ByteView item) {
    std::memcpy(bytes.data(), item.data(), item.size());
    return {bytes.data(), item.size()};
  }
};

// btree_xlog_insert with a posting list split: the list before the new item changes in place.
Status insert_posting(const Redo& r, uint16_t number) {
  TRY(r.need_data(2 + kIndexTupleHeaderBytes));
  auto position = load_le<uint16_t>(r.data().data());
  ByteView item = r.data().subspan(2);
  if (item.size() > kPageBytes) return corrupt("index tuple larger than a page");
  ByteSpan posting = r.page.stored_item(static_cast<uint16_t>(number - 1), kIndexTupleHeaderBytes);
  if (posting.empty()) return corrupt("no posting list before item " + std::to_string(number));
  ItemCopy copy;
  ByteSpan new_item = copy.of(item);
  TRY(swap_posting(posting, new_item, position));
  TRY(page_add_item(r.page, new_item, number, kAddDefault));
  return r.done();
}

// btree_xlog_insert: block 1 is the child whose split is finished, block 2 the meta page.
Status insert(const Redo& r, bool posting) {
  if (r.id() == 1) return clear_incomplete_split(r);
  if (r.id() == 2) return restore_meta(r);
  TRY(r.need_main(2));
  TRY(opaque_of(r.page));
  auto number = r.main_at<uint16_t>(0);
  if (number == 0) return corrupt("insertion at item 0");
  if (posting) return insert_posting(r, number);
  TRY(r.need_data(kIndexTupleHeaderBytes));
  TRY(page_add_item(r.page, r.data(), number, kAddDefault));
  return r.done();
}

struct SplitRecord {
  uint32_t level;
  uint16_t first_right;
  uint16_t new_item_number;
  uint16_t posting_position;  // 0: no posting list split
  BlockNumber left;
  BlockNumber right;
  BlockNumber next;  // right sibling before the split, kNone if rightmost
};

Result<SplitRecord> split_record(const Redo& r) {
  TRY(r.need_main(10));
  TRY_ASSIGN(BlockNumber left, r.block_number(0));
  TRY_ASSIGN(BlockNumber right, r.block_number(1));
  const DecodedBlock* next = r.record.block(2);
  return SplitRecord{r.main_at<uint32_t>(0),
                     r.main_at<uint16_t>(4),
                     r.main_at<uint16_t>(6),
                     r.main_at<uint16_t>(8),
                     left,
                     right,
                     next == nullptr ? kNone : next->blkno};
}

Status split_right_page(const Redo& r, const SplitRecord& s) {
  new_page(r.page, s.left, s.next, s.level, s.level == 0 ? kLeaf : 0);
  TRY(restore_items(r.page, r.data()));
  return r.done();
}

// Appends items to the new left page, in item order.
class LeftPage {
 public:
  explicit LeftPage(Page page) : page_(page) {}
  Status add(ByteView item) { return add_at(item, static_cast<uint16_t>(page_.max_offset() + 1)); }

 private:
  Status add_at(ByteView item, uint16_t number) {
    TRY(page_add_item(page_, item, number, kAddDefault));
    return {};
  }
  Page page_;
};

// btree_xlog_split, the left page: its items, its new high key and maybe the new item, in order.
Status split_left_page(const Redo& r, const SplitRecord& s, bool new_item_left) {
  TRY_ASSIGN(Opaque old_opaque, opaque_of(r.page));
  ByteView data = r.data();
  ByteView new_item;
  ItemCopy new_item_copy;
  ItemCopy posting_copy;
  ByteView replaced_posting;
  uint32_t replaced_number = 0;
  if (new_item_left || s.posting_position != 0) {
    new_item = leading_index_tuple(data);
    if (new_item.empty()) return corrupt("block data does not begin with the new item");
    data = data.subspan(new_item.size());
    if (s.posting_position != 0) {
      replaced_number = s.new_item_number - 1u;
      ByteSpan old = r.page.stored_item(replaced_number, kIndexTupleHeaderBytes);
      if (old.empty()) return corrupt("no posting list before item " + std::to_string(s.new_item_number));
      ByteSpan changed_item = new_item_copy.of(new_item);
      ByteSpan changed_posting = posting_copy.of(old);
      TRY(swap_posting(changed_posting, changed_item, s.posting_position));
      new_item = changed_item;
      replaced_posting = changed_posting;
    }
  }
  ByteView high_key = leading_index_tuple(data);
  if (high_key.empty()) return corrupt("block data does not hold the high key");
  if (high_key.size() != data.size()) return corrupt("block data is longer than its items");

  std::array<uint8_t, kPageBytes> buffer;
  Page left_page(buffer.data());
  page_init(left_page, kOpaqueBytes);
  std::memcpy(buffer.data() + left_page.special(), r.page.data() + r.page.special(), kOpaqueBytes);
  LeftPage left(left_page);
  TRY(left.add(high_key));
  uint32_t number = old_opaque.first_data_item();
  for (; number < s.first_right; number++) {
    if (number == replaced_number) {
      TRY(left.add(replaced_posting));
      continue;
    }
    if (new_item_left && number == s.new_item_number) TRY(left.add(new_item));
    ByteView item = r.page.stored_item(number, kIndexTupleHeaderBytes);
    if (item.empty()) return corrupt("no item " + std::to_string(number) + " to keep on the left page");
    TRY(left.add(item));
  }
  if (new_item_left && number == s.new_item_number) TRY(left.add(new_item));

  copy_page(r.page.bytes(), buffer);
  Opaque opaque(r.page.data() + r.page.special());
  opaque.set_flags(kIncompleteSplit | (s.level == 0 ? kLeaf : 0));
  opaque.set_next(s.right);
  opaque.set_cycle_id(0);
  return r.done();
}

// btree_xlog_split.
Status split(const Redo& r, bool new_item_left) {
  TRY_ASSIGN(SplitRecord s, split_record(r));
  switch (r.id()) {
    case 0:
      return split_left_page(r, s, new_item_left);
    case 1:
      return split_right_page(r, s);
    case 2:
      return set_left_link(r, s.right);
    case 3:
      return clear_incomplete_split(r);
    default:
      return r.unexpected_block();
  }
}

// Merges runs of tuples with equal keys into posting list tuples, onto a new page.
// _bt_dedup_start_pending, _bt_dedup_save_htid, _bt_dedup_finish_pending.
class Deduplication {
 public:
  Deduplication(Page to, ByteView intervals) : to_(to), intervals_(intervals) {}

  Status add(uint16_t number, ByteView tuple) {
    if (items_ > 0 && continues_interval()) return merge(tuple);
    if (items_ > 0) TRY(finish());
    return start(number, tuple);
  }
  Status finish() {
    ByteView item = base_;
    if (items_ > 1) {
      TRY(built_.form(base_, ByteView(tids_.data(), tid_bytes_)));
      item = built_.bytes();
      interval_++;
    }
    TRY(page_add_item(to_, item, static_cast<uint16_t>(to_.max_offset() + 1), kAddDefault));
    items_ = 0;
    return {};
  }
  bool finished_intervals() const { return interval_ == intervals_.size() / 4; }

 private:
  bool continues_interval() const {
    if (interval_ >= intervals_.size() / 4) return false;
    const uint8_t* interval = intervals_.data() + interval_ * 4;
    return base_number_ == load_le<uint16_t>(interval) && items_ < load_le<uint16_t>(interval + 2);
  }
  Status start(uint16_t number, ByteView tuple) {
    base_ = tuple;
    base_number_ = number;
    base_size_ = index_tuple_size(tuple.data());
    tid_bytes_ = 0;
    items_ = 1;
    if (is_posting(tuple)) {
      TRY_ASSIGN(Posting list, posting_of(tuple));
      base_size_ = list.key_size;
    }
    return add_tids(tuple);
  }
  Status merge(ByteView tuple) {
    items_++;
    TRY(add_tids(tuple));
    if (align8(base_size_ + tid_bytes_) > kMaxItemBytes)
      return corrupt("deduplication makes too large a tuple");
    return {};
  }
  Status add_tids(ByteView tuple) {
    ByteView tids = tuple.first(kItemPointerBytes);
    if (is_posting(tuple)) {
      TRY_ASSIGN(Posting list, posting_of(tuple));
      tids = tuple.subspan(list.key_size, list.count * kItemPointerBytes);
    }
    if (tids.size() > tids_.size() - tid_bytes_) return corrupt("more TIDs than a page can hold");
    std::memcpy(tids_.data() + tid_bytes_, tids.data(), tids.size());
    tid_bytes_ += tids.size();
    return {};
  }

  Page to_;
  ByteView intervals_;
  size_t interval_ = 0;
  ByteView base_;
  uint16_t base_number_ = 0;
  size_t base_size_ = 0;
  size_t items_ = 0;
  std::array<uint8_t, kPageBytes> tids_;
  size_t tid_bytes_ = 0;
  BuiltTuple built_;
};

// btree_xlog_dedup.
Status dedup(const Redo& r) {
  TRY(r.need_main(2));
  size_t intervals = r.main_at<uint16_t>(0);
  TRY(r.need_data(intervals * 4));
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  std::array<uint8_t, kPageBytes> buffer;
  Page to(buffer.data());
  page_init(to, kOpaqueBytes);
  std::memcpy(buffer.data() + to.special(), r.page.data() + r.page.special(), kOpaqueBytes);
  uint16_t first = opaque.first_data_item();
  if (first == 2) {
    ByteView high_key = r.page.stored_item(kHighKey, kIndexTupleHeaderBytes);
    if (high_key.empty()) return corrupt("page has no high key");
    TRY(page_add_item(to, high_key, kHighKey, kAddDefault));
  }
  Deduplication dedup(to, r.data().first(intervals * 4));
  uint16_t last = r.page.max_offset();
  if (last < first) return corrupt("deduplication of an empty page");
  for (uint16_t number = first; number <= last; number++) {
    ByteView tuple = r.page.stored_item(number, kIndexTupleHeaderBytes);
    if (tuple.empty()) return corrupt("item " + std::to_string(number) + " is no tuple");
    TRY(dedup.add(number, tuple));
  }
  TRY(dedup.finish());
  if (!dedup.finished_intervals()) return corrupt("the page's items are not those the record merges");
  Opaque(buffer.data() + to.special()).clear_flag(kHasGarbage);
  copy_page(r.page.bytes(), buffer);
  return r.done();
}

// btree_xlog_updates: shrinks posting list tuples.
Status shrink_postings(Page page, ByteView numbers, ByteView updates) {
  for (size_t at = 0; at < numbers.size(); at += 2) {
    auto number = load_le<uint16_t>(numbers.data() + at);
    if (updates.size() < 2) return corrupt("block data ends before its updates do");
    size_t deleted = load_le<uint16_t>(updates.data());
    if ((updates.size() - 2) / 2 < deleted) return corrupt("block data ends inside an update");
    ByteView posting = page.stored_item(number, kIndexTupleHeaderBytes);
    if (posting.empty()) return corrupt("no item " + std::to_string(number) + " to update");
    BuiltTuple built;
    TRY(built.without(posting, updates.subspan(2, deleted * 2)));
    TRY(page_index_tuple_overwrite(page, number, built.bytes()));
    updates = updates.subspan(2 + deleted * 2);
  }
  return {};
}

// btree_xlog_vacuum and btree_xlog_delete, which differ in their main data only.
Status remove_items(const Redo& r, size_t counts_at) {
  TRY(r.need_main(counts_at + 4));
  size_t deleted = r.main_at<uint16_t>(counts_at);
  size_t updated = r.main_at<uint16_t>(counts_at + 2);
  TRY(r.need_data((deleted + updated) * 2));
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  ByteView updated_numbers = r.data().subspan(deleted * 2, updated * 2);
  TRY(shrink_postings(r.page, updated_numbers, r.data().subspan((deleted + updated) * 2)));
  TRY(page_index_multi_delete(r.page, r.data().first(deleted * 2)));
  opaque.clear_flag(kHasGarbage);
  return r.done();
}

// The half-dead leaf: nothing but a high key that points to the topmost parent to be deleted.
Status half_dead_page(const Redo& r, BlockNumber prev, BlockNumber next, BlockNumber top_parent) {
  new_page(r.page, prev, next, 0, kHalfDead | kLeaf);
  std::array<uint8_t, kIndexTupleHeaderBytes> high_key{};
  store_item_pointer(high_key.data(), top_parent, 0);
  store_le(high_key.data() + 6, static_cast<uint16_t>(kIndexTupleHeaderBytes | 0x2000));
  TRY(page_add_item(r.page, high_key, kHighKey, kAddDefault));
  return r.done();
}

// btree_xlog_mark_page_halfdead: block 0 is the leaf, block 1 its parent, whose downlink to the
// leaf becomes the one of the right sibling.
Status mark_half_dead(const Redo& r) {
  TRY(r.need_main(20));
  if (r.id() == 0)
    return half_dead_page(r, r.main_at<uint32_t>(8), r.main_at<uint32_t>(12), r.main_at<uint32_t>(16));
  if (r.id() != 1) return r.unexpected_block();
  auto number = r.main_at<uint16_t>(0);
  auto next = static_cast<uint16_t>(number + 1);
  ByteSpan link = r.page.stored_item(number, kIndexTupleHeaderBytes);
  ByteSpan right = r.page.stored_item(next, kIndexTupleHeaderBytes);
  if (link.empty() || right.empty()) return corrupt("no downlinks at item " + std::to_string(number));
  std::memcpy(link.data(), right.data(), 4);
  TRY(page_index_tuple_delete(r.page, next));
  return r.done();
}

// BTPageSetDeleted on a new page.
Status deleted_page(const Redo& r, BlockNumber left, BlockNumber right, uint32_t level) {
  new_page(r.page, left, right, level, kDeleted | kHasFullXid | (level == 0 ? kLeaf : 0));
  r.page.set_lower(kPageHeaderBytes + 8);
  r.page.set(kPageHeaderBytes, r.main_at<uint64_t>(16));  // safexid
  return r.done();
}

// btree_xlog_unlink_page: 0 the page, 1 and 2 its siblings, 3 the leaf below it, 4 the meta page.
Status unlink_page(const Redo& r) {
  TRY(r.need_main(36));
  auto left = r.main_at<uint32_t>(0);
  auto right = r.main_at<uint32_t>(4);
  switch (r.id()) {
    case 0:
      return deleted_page(r, left, right, r.main_at<uint32_t>(8));
    case 1:
      return set_right_link(r, right);
    case 2:
      return set_left_link(r, left);
    case 3:
      return half_dead_page(r, r.main_at<uint32_t>(24), r.main_at<uint32_t>(28), r.main_at<uint32_t>(32));
    case 4:
      return restore_meta(r);
    default:
      return r.unexpected_block();
  }
}

// btree_xlog_newroot: block 1 is the left child, block 2 the meta page.
Status new_root(const Redo& r) {
  if (r.id() == 1) return clear_incomplete_split(r);
  if (r.id() == 2) return restore_meta(r);
  TRY(r.need_main(8));
  auto level = r.main_at<uint32_t>(4);
  new_page(r.page, kNone, kNone, level, kRoot | (level == 0 ? kLeaf : 0));
  if (level > 0) TRY(restore_items(r.page, r.data()));
  return r.done();
}

}  // namespace

// btree_redo. REUSE_PAGE has no blocks.
Status redo_btree(const Redo& r) {
  switch (r.record.type()) {
    case 0x00:
    case 0x10:
    case 0x20:
      return insert(r, false);
    case 0x30:
      return split(r, true);
    case 0x40:
      return split(r, false);
    case 0x50:
      return insert(r, true);
    case 0x60:
      return dedup(r);
    case 0x70:
      return remove_items(r, 4);
    case 0x80:
    case 0x90:
      return unlink_page(r);
    case 0xA0:
      return new_root(r);
    case 0xB0:
      return mark_half_dead(r);
    case 0xC0:
      return remove_items(r, 0);
    case 0xE0:
      return restore_meta(r);
    default:
      return unknown_type();
  }
}

}  // namespace argon::pg::redo
