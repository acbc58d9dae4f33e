#include "core/pg/redo/consistency_mask.h"

#include <cstring>

#include "core/pg/redo/heap_tuple.h"
#include "core/pg/redo/page_ops.h"

namespace argon::pg::redo {
namespace {

void mask_lsn_and_checksum(Page page) {
  page.set_lsn(Lsn(0));
  page.set_checksum(0);
}

void mask_hints(Page page) {
  page.set_prune_xid(0);
  page.clear_flag(Page::kFull);
  page.clear_flag(Page::kHasFreeLines);
  page.clear_flag(Page::kAllVisible);
}

Status mask_hole(Page page) {
  if (page.lower() > page.upper() || page.special() < page.upper() || page.lower() < kPageHeaderBytes ||
      page.special() > kPageBytes)
    return corrupt("page header out of order: lower " + std::to_string(page.lower()) + ", upper " +
                   std::to_string(page.upper()) + ", special " + std::to_string(page.special()));
  std::memset(page.data() + page.lower(), 0, static_cast<size_t>(page.upper()) - page.lower());
  return {};
}

void mask_line_pointer_states(Page page) {
  for (uint32_t n = 1, end = page.max_offset(); n <= end; n++) {
    ItemId id = page.item(n);
    if (id.used()) page.set_item(n, ItemId::make(ItemId::kUnused, id.offset(), id.length()));
  }
}

void mask_content(Page page) {
  std::memset(page.data() + kPageHeaderBytes, 0, kPageBytes - kPageHeaderBytes);
  page.set_lower(0);
  page.set_upper(0);
}

Result<uint8_t*> special_of(Page page, size_t size) {
  uint8_t* at = page.special_area(size);
  if (at == nullptr) return corrupt("special area of " + std::to_string(page.special_bytes()) + " bytes");
  return at;
}

void clear_bits(uint8_t* at, uint16_t bits) {
  store_le(at, static_cast<uint16_t>(load_le<uint16_t>(at) & ~bits));
}

void mask_tuple(HeapTuple tuple, BlockNumber block, uint16_t number) {
  if (tuple.xmin_frozen())
    tuple.clear(infomask::kXmaxInvalid | infomask::kXmaxCommitted);
  else
    tuple.clear(infomask::kXactMask);
  tuple.set_xvac(0);  // shares its place with the command id
  if (tuple.ctid_number() == kSpecTokenOffset) tuple.set_ctid(block, number);
}

// heap_mask.
Status mask_heap(Page page, BlockNumber block) {
  mask_hints(page);
  TRY(mask_hole(page));
  for (uint16_t n = 1, end = page.max_offset(); n <= end; n++) {
    ByteSpan tuple = page.normal_item(n, kHeapTupleHeaderBytes);
    if (!tuple.empty()) mask_tuple(HeapTuple(tuple.data()), block, n);
    ByteSpan stored = page.stored_item(n, 1);
    size_t end_of_item = static_cast<size_t>(stored.data() - page.data()) + stored.size();
    size_t padding = align8(stored.size()) - stored.size();
    if (!stored.empty() && end_of_item + padding <= kPageBytes)
      std::memset(page.data() + end_of_item, 0, padding);
  }
  return {};
}

// btree_mask.
Status mask_btree(Page page) {
  mask_hints(page);
  TRY(mask_hole(page));
  TRY_ASSIGN(uint8_t* opaque, special_of(page, 16));
  if (load_le<uint16_t>(opaque + 12) & 1) mask_line_pointer_states(page);  // BTP_LEAF
  clear_bits(opaque + 12, 1 << 6 | 1 << 5);                                // BTP_HAS_GARBAGE, BTP_SPLIT_END
  store_le(opaque + 14, uint16_t{0});                                      // btpo_cycleid
  return {};
}

// hash_mask.
Status mask_hash(Page page) {
  mask_hints(page);
  TRY(mask_hole(page));
  TRY_ASSIGN(uint8_t* opaque, special_of(page, 16));
  uint16_t type = load_le<uint16_t>(opaque + 12) & 0x0F;
  if (type == 0)
    mask_content(page);
  else if (type == 1 || type == 2)  // overflow, bucket
    mask_line_pointer_states(page);
  clear_bits(opaque + 12, 1 << 7);  // LH_PAGE_HAS_DEAD_TUPLES
  return {};
}

// gin_mask.
Status mask_gin(Page page) {
  TRY_ASSIGN(uint8_t* opaque, special_of(page, 8));
  mask_hints(page);
  if (load_le<uint16_t>(opaque + 6) & 4) {  // GIN_DELETED
    mask_content(page);
    return {};
  }
  return page.lower() > kPageHeaderBytes ? mask_hole(page) : Status();
}

// gist_mask.
Status mask_gist(Page page) {
  mask_hints(page);
  TRY(mask_hole(page));
  TRY_ASSIGN(uint8_t* opaque, special_of(page, 16));
  store_le(opaque, uint64_t{0});                                                            // NSN
  store_le(opaque + 12, static_cast<uint16_t>(load_le<uint16_t>(opaque + 12) | (1 << 3)));  // F_FOLLOW_RIGHT
  if (load_le<uint16_t>(opaque + 12) & 1) mask_line_pointer_states(page);                   // F_LEAF
  clear_bits(opaque + 12, 1 << 4 | 1 << 2);  // F_HAS_GARBAGE; F_TUPLES_DELETED: see gist.cc
  return {};
}

// spg_mask.
Status mask_spgist(Page page) {
  mask_hints(page);
  return page.lower() >= kPageHeaderBytes ? mask_hole(page) : Status();
}

// brin_mask.
Status mask_brin(Page page) {
  mask_hints(page);
  TRY_ASSIGN(uint8_t* special, special_of(page, 8));
  auto type = load_le<uint16_t>(special + 6);
  bool regular = type == 0xF093;
  bool meta = type == 0xF091;
  if (regular || (meta && page.lower() > kPageHeaderBytes)) TRY(mask_hole(page));
  clear_bits(special + 4, 1);  // BRIN_EVACUATE_PAGE
  return {};
}

}  // namespace

Status mask_for_consistency(uint8_t rmid, const BlockTag& tag, ByteSpan bytes) {
  CHECK(bytes.size() == kBlockSize);
  Page page(bytes);
  mask_lsn_and_checksum(page);
  if (tag.rel.fork == Fork::Vm) return {};
  if (page.special() > kPageBytes || page.lower() > kPageBytes)
    return corrupt("page header points outside the page");
  switch (static_cast<Rmgr>(rmid)) {
    case Rmgr::Heap:
    case Rmgr::Heap2:
      return mask_heap(page, tag.block);
    case Rmgr::Btree:
      return mask_btree(page);
    case Rmgr::Hash:
      return mask_hash(page);
    case Rmgr::Gin:
      return mask_gin(page);
    case Rmgr::Gist:
      return mask_gist(page);
    case Rmgr::SpGist:
      return mask_spgist(page);
    case Rmgr::Brin:
      return mask_brin(page);
    case Rmgr::Sequence:
    case Rmgr::Generic:
      return mask_hole(page);
    default:
      return {};
  }
}

}  // namespace argon::pg::redo
