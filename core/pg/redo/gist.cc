// Redo of resource manager Gist: access/gist/gistxlog.c of PostgreSQL 15.
//
// Releases up to 15.18 also set a flag (F_TUPLES_DELETED) on pages that lose tuples; 15.20 does not,
// and nothing reads it. It is not set here, and masked for comparison.

#include "core/pg/redo/context.h"
#include "core/pg/redo/index_tuple.h"
#include "core/pg/redo/page_ids.h"

namespace argon::pg::redo {
namespace {

constexpr size_t kOpaqueBytes = 16;
constexpr BlockNumber kRoot = 0;
constexpr uint16_t kLeaf = 1 << 0;
constexpr uint16_t kDeleted = 1 << 1;
constexpr uint16_t kFollowRight = 1 << 3;
constexpr uint16_t kHasGarbage = 1 << 4;

// GISTPageOpaqueData in place.
class Opaque {
 public:
  explicit Opaque(uint8_t* at) : at_(at) {}
  // A node sequence number is kept like a page's LSN: high half first.
  void set_nsn(uint64_t nsn) const {
    store_le(at_, static_cast<uint32_t>(nsn >> 32));
    store_le(at_ + 4, static_cast<uint32_t>(nsn));
  }
  void set_right_link(BlockNumber block) const { store_le(at_ + 8, block); }
  uint16_t flags() const { return load_le<uint16_t>(at_ + 12); }
  void set_flags(uint16_t flags) const { store_le(at_ + 12, flags); }
  void add(uint16_t flag) const { set_flags(flags() | flag); }
  void clear(uint16_t flag) const { set_flags(static_cast<uint16_t>(flags() & ~flag)); }

 private:
  uint8_t* at_;
};

Result<Opaque> opaque_of(Page page) {
  uint8_t* at = page.special_area(kOpaqueBytes);
  if (at == nullptr)
    return corrupt("not a GiST page: special area of " + std::to_string(page.special_bytes()));
  return Opaque(at);
}

// gistRedoClearFollowRight.
Status clear_follow_right(const Redo& r) {
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  opaque.set_nsn(r.record.end_lsn.value);
  opaque.clear(kFollowRight);
  return r.done();
}

// The tuple at the head of `data`, as long as it says; nothing is rounded here.
Result<ByteView> next_tuple(ByteView data) {
  if (data.size() < kIndexTupleHeaderBytes) return corrupt("block data ends inside an index tuple");
  size_t size = index_tuple_size(data.data());
  if (size < kIndexTupleHeaderBytes || size > data.size())
    return corrupt("index tuple of " + std::to_string(size) + " bytes in block data");
  return data.first(size);
}

// gistfillbuffer: appends tuples behind the last one.
Status append_tuples(Page page, ByteView data) {
  while (!data.empty()) {
    TRY_ASSIGN(ByteView tuple, next_tuple(data));
    TRY(page_add_item(page, tuple, static_cast<uint16_t>(page.max_offset() + 1), kAddDefault));
    data = data.subspan(tuple.size());
  }
  return {};
}

// gistRedoPageUpdateRecord: block 1 is the left child of a split now finished.
Status update(const Redo& r) {
  if (r.id() == 1) return clear_follow_right(r);
  TRY(r.need_main(4));
  TRY(opaque_of(r.page));
  size_t deleted = r.main_at<uint16_t>(0);
  size_t inserted = r.main_at<uint16_t>(2);
  TRY(r.need_data(deleted * 2));
  ByteView numbers = r.data().first(deleted * 2);
  ByteView tuples = r.data().subspan(deleted * 2);
  if (deleted == 1 && inserted == 1) {
    TRY_ASSIGN(ByteView tuple, next_tuple(tuples));
    TRY(page_index_tuple_overwrite(r.page, load_le<uint16_t>(numbers.data()), tuple));
    tuples = tuples.subspan(tuple.size());
  } else if (deleted > 0) {
    TRY(page_index_multi_delete(r.page, numbers));
  }
  TRY(append_tuples(r.page, tuples));
  return r.done();
}

// gistRedoDeleteRecord: the numbers follow in the main data.
Status remove(const Redo& r) {
  TRY(r.need_main(6));
  size_t count = r.main_at<uint16_t>(4);
  TRY(r.need_main(6 + count * 2));
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  TRY(page_index_multi_delete(r.page, r.main().subspan(6, count * 2)));
  opaque.clear(kHasGarbage);
  return r.done();
}

// gistRedoPageSplitRecord: block 0 is the left child of a split now finished, blocks 1… the pages.
Status split(const Redo& r) {
  if (r.id() == 0) return clear_follow_right(r);
  TRY(r.need_main(21));
  auto old_right = r.main_at<uint32_t>(0);
  auto old_nsn = r.main_at<uint64_t>(8);
  bool old_leaf = r.main()[16] != 0;
  auto pages = r.main_at<uint16_t>(18);
  bool mark_follow_right = r.main()[20] != 0;
  if (r.id() > pages) return r.unexpected_block();
  TRY_ASSIGN(BlockNumber first, r.block_number(1));
  TRY(r.need_data(4));

  bool root = r.block.blkno == kRoot;
  bool last = r.id() == pages;
  page_init(r.page, kOpaqueBytes);
  Opaque opaque(r.page.data() + r.page.special());
  opaque.set_flags(old_leaf && !root ? kLeaf : 0);
  r.page.set(r.page.special() + size_t{14}, kGistPageId);
  TRY(append_tuples(r.page, r.data().subspan(4)));
  if (r.page.max_offset() != load_le<uint32_t>(r.data().data()))
    return corrupt("a page of the split has another number of tuples than announced");
  BlockNumber right = old_right;
  if (root) {
    right = kInvalidBlock;
  } else if (!last) {
    TRY_ASSIGN(right, r.block_number(static_cast<uint8_t>(r.id() + 1)));
  }
  opaque.set_right_link(right);
  opaque.set_nsn(old_nsn);
  if (!root && !last && first != kRoot && mark_follow_right) opaque.add(kFollowRight);
  return r.done();
}

// gistRedoPageDelete: block 0 is the page, block 1 its parent.
Status delete_page(const Redo& r) {
  TRY(r.need_main(10));
  if (r.id() == 1) {
    TRY(page_index_tuple_delete(r.page, r.main_at<uint16_t>(8)));
    return r.done();
  }
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  if (r.page.upper() < kPageHeaderBytes + 8)
    return corrupt("no room on the page for the deleting transaction");
  opaque.add(kDeleted);
  r.page.set_lower(kPageHeaderBytes + 8);
  r.page.set(kPageHeaderBytes, r.main_at<uint64_t>(0));
  return r.done();
}

}  // namespace

// The child whose split is finished: its new NSN is in no image.
Status redo_gist_restored(const Redo& r) {
  bool child = (r.record.type() == 0x00 && r.id() == 1) || (r.record.type() == 0x30 && r.id() == 0);
  return child ? clear_follow_right(r) : Status();
}

// gist_redo. PAGE_REUSE and ASSIGN_LSN have no blocks.
Status redo_gist(const Redo& r) {
  switch (r.record.type()) {
    case 0x00:
      return update(r);
    case 0x10:
      return remove(r);
    case 0x30:
      return split(r);
    case 0x60:
      return delete_page(r);
    default:
      return unknown_type();
  }
}

}  // namespace argon::pg::redo
