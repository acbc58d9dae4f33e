// Redo of resource manager Hash: access/hash/hash_xlog.c of PostgreSQL 15.

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/pg/redo/context.h"
#include "core/pg/redo/index_tuple.h"
#include "core/pg/redo/page_ids.h"

namespace argon::pg::redo {
namespace {

constexpr size_t kOpaqueBytes = 16;
constexpr uint32_t kInvalidBucket = 0xFFFFFFFF;
constexpr uint16_t kUnusedPage = 0;
constexpr uint16_t kOverflowPage = 1 << 0;
constexpr uint16_t kBitmapPage = 1 << 2;
constexpr uint16_t kMetaPage = 1 << 3;
constexpr uint16_t kNeedsSplitCleanup = 1 << 6;
constexpr uint16_t kHasDeadTuples = 1 << 7;

// HashMetaPageData: offsets from the page's start.
constexpr uint32_t kMagic = 0x6440640;
constexpr uint32_t kVersion = 4;
constexpr uint32_t kSplitPoints = 98;  // HASH_MAX_SPLITPOINTS
constexpr uint32_t kBitmaps = 1024;    // HASH_MAX_BITMAPS
constexpr size_t kMeta = kPageHeaderBytes;
constexpr size_t kTuples = kMeta + 8;
constexpr size_t kMaxBucket = kMeta + 24;
constexpr size_t kHighMask = kMeta + 28;
constexpr size_t kLowMask = kMeta + 32;
constexpr size_t kOverflowPoint = kMeta + 36;
constexpr size_t kFirstFree = kMeta + 40;
constexpr size_t kBitmapCount = kMeta + 44;
constexpr size_t kProcedure = kMeta + 48;
constexpr size_t kSpares = kMeta + 52;
constexpr size_t kMap = kSpares + kSplitPoints * 4;
constexpr size_t kMetaBytes = 4544;  // sizeof(HashMetaPageData)
static_assert(kMap + kBitmaps * 4 <= kMeta + kMetaBytes);

constexpr uint32_t kGroupsWithOnePhase = 10;
constexpr uint32_t kPhaseBits = 2;
constexpr uint32_t kPhaseMask = 3;

// HashPageOpaqueData in place.
class Opaque {
 public:
  explicit Opaque(uint8_t* at) : at_(at) {}
  void set_prev(BlockNumber block) const { store_le(at_, block); }
  void set_next(BlockNumber block) const { store_le(at_ + 4, block); }
  void set_bucket(uint32_t bucket) const { store_le(at_ + 8, bucket); }
  uint16_t flags() const { return load_le<uint16_t>(at_ + 12); }
  void set_flags(uint16_t flags) const { store_le(at_ + 12, flags); }
  void clear(uint16_t flag) const { set_flags(static_cast<uint16_t>(flags() & ~flag)); }
  void set_page_id(uint16_t id) const { store_le(at_ + 14, id); }

 private:
  uint8_t* at_;
};

Result<Opaque> opaque_of(Page page) {
  uint8_t* at = page.special_area(kOpaqueBytes);
  if (at == nullptr)
    return corrupt("not a hash page: special area of " + std::to_string(page.special_bytes()));
  return Opaque(at);
}

Status need_meta(const Redo& r) {
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  if (opaque.flags() & kMetaPage) return {};
  return corrupt("not the meta page of a hash index");
}

// _hash_initbuf.
void new_page(Page page, BlockNumber prev, uint32_t bucket, uint16_t flags) {
  page_init(page, kOpaqueBytes);
  Opaque opaque(page.data() + page.special());
  opaque.set_prev(prev);
  opaque.set_next(kInvalidBlock);
  opaque.set_bucket(bucket);
  opaque.set_flags(flags);
  opaque.set_page_id(kHashPageId);
}

// _hash_spareindex.
uint32_t spare_index(uint32_t buckets) {
  uint32_t group = buckets < 2 ? 0 : static_cast<uint32_t>(std::bit_width(buckets - 1));
  if (group < kGroupsWithOnePhase) return group;
  return kGroupsWithOnePhase + ((group - kGroupsWithOnePhase) << kPhaseBits) +
         (((buckets - 1) >> (group - (kPhaseBits + 1))) & kPhaseMask);
}

// _hash_get_totalbuckets.
uint32_t total_buckets(uint32_t phase) {
  if (phase < kGroupsWithOnePhase) return 1u << phase;
  uint32_t group = kGroupsWithOnePhase + ((phase - kGroupsWithOnePhase) >> kPhaseBits);
  uint32_t within = ((phase - kGroupsWithOnePhase) & kPhaseMask) + 1;
  uint32_t before = 1u << (group - 1);
  return before + (before >> kPhaseBits) * within;
}

// The number of buckets to begin with, as _hash_init_metabuffer chooses it.
uint32_t first_buckets(double tuples, uint16_t fill_factor) {
  double wanted = tuples / fill_factor;
  if (wanted <= 2.0) return 2;
  if (!(wanted < 0x40000000)) return 0x40000000;
  return total_buckets(spare_index(static_cast<uint32_t>(wanted)));
}

// _hash_init_metabuffer.
Status init_meta(const Redo& r) {
  TRY(r.need_main(14));
  auto fill_factor = r.main_at<uint16_t>(12);
  uint32_t buckets = first_buckets(r.main_at<double>(0), fill_factor);
  uint32_t spare = spare_index(buckets);
  uint32_t high_mask = std::bit_ceil(buckets + 1) - 1;
  new_page(r.page, kInvalidBlock, kInvalidBucket, kMetaPage);
  r.page.set(kMeta, kMagic);
  r.page.set(kMeta + 4, kVersion);
  r.page.set(kMeta + 16, fill_factor);
  r.page.set(kMeta + 18, uint16_t{8152});  // bytes that a bitmap could have
  r.page.set(kMeta + 20, uint16_t{4096});  // bytes that it has, a power of 2
  r.page.set(kMeta + 22, uint16_t{15});    // its bits, as a power of 2
  r.page.set(kMaxBucket, buckets - 1);
  r.page.set(kHighMask, high_mask);
  r.page.set(kLowMask, high_mask >> 1);
  r.page.set(kOverflowPoint, spare);
  r.page.set(kProcedure, r.main_at<uint32_t>(8));
  r.page.set(kSpares + spare * 4, uint32_t{1});
  r.page.set_lower(kMeta + kMetaBytes);
  return r.done();
}

// _hash_initbitmapbuffer.
Status new_bitmap(const Redo& r, uint16_t bytes) {
  new_page(r.page, kInvalidBlock, kInvalidBucket, kBitmapPage);
  if (bytes > r.page.special() - kPageHeaderBytes) return corrupt("bitmap larger than a page");
  std::memset(r.page.data() + kPageHeaderBytes, 0xFF, bytes);
  r.page.set_lower(kPageHeaderBytes + uint32_t{bytes});
  return r.done();
}

Status add_bitmap_to_meta(Page page, BlockNumber block) {
  auto count = page.get<uint32_t>(kBitmapCount);
  if (count >= kBitmaps) return corrupt("the meta page has no place for another bitmap");
  page.set(kMap + count * 4, block);
  page.set(kBitmapCount, count + 1);
  return {};
}

// hash_xlog_init_bitmap_page: block 0 is the bitmap, block 1 the meta page.
Status init_bitmap(const Redo& r) {
  TRY(r.need_main(2));
  if (r.id() == 0) return new_bitmap(r, r.main_at<uint16_t>(0));
  TRY(need_meta(r));
  TRY(add_bitmap_to_meta(r.page, r.page.get<uint32_t>(kMaxBucket) + 2));
  return r.done();
}

// hash_xlog_insert: block 1 is the meta page.
Status insert(const Redo& r) {
  if (r.id() == 1) {
    TRY(need_meta(r));
    r.page.set(kTuples, r.page.get<double>(kTuples) + 1);
    return r.done();
  }
  TRY(r.need_main(2));
  TRY(r.need_data(kIndexTupleHeaderBytes));
  auto number = r.main_at<uint16_t>(0);
  if (number == 0) return corrupt("insertion at item 0");
  TRY(page_add_item(r.page, r.data(), number, kAddDefault));
  return r.done();
}

// Sets or clears the bit of an overflow page in a bitmap; its number is the block's data.
Status change_bit(const Redo& r, bool on) {
  TRY(r.need_data(4));
  auto bit = load_le<uint32_t>(r.data().data());
  if (kPageHeaderBytes + uint64_t{bit} / 8 >= r.page.special()) return corrupt("bit outside the bitmap");
  uint8_t& byte = r.page.data()[kPageHeaderBytes + bit / 8];
  uint32_t mask = 1u << (bit % 8);
  byte = static_cast<uint8_t>(on ? byte | mask : byte & ~mask);
  return r.done();
}

// hash_xlog_add_ovfl_page, the meta page (block 4).
Status count_overflow_page(const Redo& r) {
  TRY(r.need_data(4));
  TRY(need_meta(r));
  bool bitmap_found = r.main()[2] != 0;
  r.page.set(kFirstFree, load_le<uint32_t>(r.data().data()));
  if (bitmap_found) return r.done();
  auto point = r.page.get<uint32_t>(kOverflowPoint);
  if (point >= kSplitPoints) return corrupt("split point outside the meta page");
  uint32_t added = 1;
  if (const DecodedBlock* new_map = r.record.block(3); new_map != nullptr) {
    TRY(add_bitmap_to_meta(r.page, new_map->blkno));
    added = 2;
  }
  r.page.set(kSpares + point * 4, r.page.get<uint32_t>(kSpares + point * 4) + added);
  return r.done();
}

// hash_xlog_add_ovfl_page: 0 the page, 1 the one before, 2 bitmap, 3 new bitmap, 4 meta page.
Status add_overflow_page(const Redo& r) {
  TRY(r.need_main(3));
  switch (r.id()) {
    case 0: {
      TRY(r.need_data(4));
      TRY_ASSIGN(BlockNumber left, r.block_number(1));
      new_page(r.page, left, load_le<uint32_t>(r.data().data()), kOverflowPage);
      return r.done();
    }
    case 1: {
      TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
      TRY_ASSIGN(BlockNumber right, r.block_number(0));
      opaque.set_next(right);
      return r.done();
    }
    case 2:
      return change_bit(r, true);
    case 3:
      return new_bitmap(r, r.main_at<uint16_t>(0));
    case 4:
      return count_overflow_page(r);
    default:
      return r.unexpected_block();
  }
}

// hash_xlog_split_allocate_page, the meta page (block 2).
Status count_bucket(const Redo& r) {
  TRY(need_meta(r));
  uint8_t flags = r.main()[8];
  ByteView data = r.data();
  r.page.set(kMaxBucket, r.main_at<uint32_t>(0));
  if (flags & 1) {  // XLH_SPLIT_META_UPDATE_MASKS
    if (data.size() < 8) return corrupt("block data ends before the masks");
    r.page.set(kLowMask, load_le<uint32_t>(data.data()));
    r.page.set(kHighMask, load_le<uint32_t>(data.data() + 4));
    data = data.subspan(8);
  }
  if (flags & 2) {  // XLH_SPLIT_META_UPDATE_SPLITPOINT
    if (data.size() < 8) return corrupt("block data ends before the split point");
    auto point = load_le<uint32_t>(data.data());
    if (point >= kSplitPoints) return corrupt("split point outside the meta page");
    r.page.set(kSpares + point * 4, load_le<uint32_t>(data.data() + 4));
    r.page.set(kOverflowPoint, point);
  }
  return r.done();
}

Status split_old_bucket(const Redo& r) {
  TRY(r.need_main(9));
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  opaque.set_flags(r.main_at<uint16_t>(4));
  opaque.set_prev(r.main_at<uint32_t>(0));
  return r.done();
}

// hash_xlog_split_allocate_page: 0 the old bucket, 1 the new one, 2 the meta page.
Status split_allocate(const Redo& r) {
  TRY(r.need_main(9));
  auto bucket = r.main_at<uint32_t>(0);
  switch (r.id()) {
    case 0:
      return split_old_bucket(r);
    case 1:
      new_page(r.page, bucket, bucket, r.main_at<uint16_t>(6));
      return r.done();
    case 2:
      return count_bucket(r);
    default:
      return r.unexpected_block();
  }
}

// hash_xlog_split_complete: 0 the old bucket, 1 the new one.
Status split_complete(const Redo& r) {
  TRY(r.need_main(4));
  if (r.id() > 1) return r.unexpected_block();
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  opaque.set_flags(r.main_at<uint16_t>(r.id() == 0 ? 0 : 2));
  return r.done();
}

// The tuples moved to a page: item numbers, then the tuples, each rounded up to 8 bytes.
Status add_moved_tuples(const Redo& r, size_t count) {
  if (count == 0) return {};
  TRY(r.need_data(count * 2));
  ByteView tuples = r.data().subspan(count * 2);
  for (size_t i = 0; i < count; i++) {
    ByteView tuple = leading_index_tuple(tuples);
    if (tuple.empty()) return corrupt("fewer tuples moved than announced");
    TRY(page_add_item(r.page, tuple, load_le<uint16_t>(r.data().data() + i * 2), kAddDefault));
    tuples = tuples.subspan(tuple.size());
  }
  if (!tuples.empty()) return corrupt("more tuples moved than announced");
  return {};
}

Status remove_items(const Redo& r) {
  TRY(page_index_multi_delete(r.page, r.data()));
  return r.done();
}

// hash_xlog_move_page_contents: 0 the bucket (locked only), 1 gains tuples, 2 loses them.
Status move_contents(const Redo& r) {
  TRY(r.need_main(3));
  switch (r.id()) {
    case 0:
      return {};
    case 1:
      TRY(add_moved_tuples(r, r.main_at<uint16_t>(0)));
      return r.done();
    case 2:
      return remove_items(r);
    default:
      return r.unexpected_block();
  }
}

struct SqueezeRecord {
  BlockNumber prev;
  BlockNumber next;
  uint16_t tuples;
  bool prev_is_written;  // the page that gains the tuples is the one before the freed page
};

// hash_xlog_squeeze_page: 0 the bucket (locked only), 1 gains tuples, 2 is freed, 3 and 4 its
// neighbours, 5 the bitmap, 6 the meta page.
Status squeeze(const Redo& r) {
  TRY(r.need_main(12));
  SqueezeRecord s{r.main_at<uint32_t>(0), r.main_at<uint32_t>(4), r.main_at<uint16_t>(8), r.main()[11] != 0};
  switch (r.id()) {
    case 0:
      return {};
    case 1: {
      TRY(add_moved_tuples(r, s.tuples));
      TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
      if (s.prev_is_written) opaque.set_next(s.next);
      return r.done();
    }
    case 2:
      new_page(r.page, kInvalidBlock, kInvalidBucket, kUnusedPage);
      return r.done();
    case 3: {
      if (s.prev_is_written) return {};
      TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
      opaque.set_next(s.next);
      return r.done();
    }
    case 4: {
      TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
      opaque.set_prev(s.prev);
      return r.done();
    }
    case 5:
      return change_bit(r, false);
    case 6:
      TRY(r.need_data(4));
      TRY(need_meta(r));
      r.page.set(kFirstFree, load_le<uint32_t>(r.data().data()));
      return r.done();
    default:
      return r.unexpected_block();
  }
}

// hash_xlog_delete: 0 the bucket (locked only), 1 loses tuples.
Status remove(const Redo& r) {
  TRY(r.need_main(2));
  if (r.id() == 0) return {};
  if (r.id() != 1) return r.unexpected_block();
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  TRY(page_index_multi_delete(r.page, r.data()));
  if (r.main()[0] != 0) opaque.clear(kHasDeadTuples);
  return r.done();
}

// hash_xlog_split_cleanup.
Status split_cleanup(const Redo& r) {
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  opaque.clear(kNeedsSplitCleanup);
  return r.done();
}

// hash_xlog_update_meta_page.
Status update_meta(const Redo& r) {
  TRY(r.need_main(8));
  TRY(need_meta(r));
  r.page.set(kTuples, r.main_at<double>(0));
  return r.done();
}

// hash_xlog_vacuum_one_page: the item numbers follow in the main data; 1 is the meta page.
Status vacuum_one_page(const Redo& r) {
  TRY(r.need_main(8));
  auto count = r.main_at<int32_t>(4);
  if (r.id() == 1) {
    TRY(need_meta(r));
    r.page.set(kTuples, r.page.get<double>(kTuples) - count);
    return r.done();
  }
  if (count < 0 || (r.main().size() - 8) / 2 < static_cast<size_t>(count))
    return corrupt("fewer items to delete than announced");
  TRY_ASSIGN(Opaque opaque, opaque_of(r.page));
  TRY(page_index_multi_delete(r.page, r.main().subspan(8, static_cast<size_t>(count) * 2)));
  opaque.clear(kHasDeadTuples);
  return r.done();
}

}  // namespace

// Flags of buckets in a split change although their page was restored: they are in no image.
Status redo_hash_restored(const Redo& r) {
  if (r.record.type() == 0x40 && r.id() == 0) return split_old_bucket(r);
  if (r.record.type() == 0x60) return split_complete(r);
  return {};
}

// hash_redo.
Status redo_hash(const Redo& r) {
  switch (r.record.type()) {
    case 0x00:
      return init_meta(r);
    case 0x10:
      return init_bitmap(r);
    case 0x20:
      return insert(r);
    case 0x30:
      return add_overflow_page(r);
    case 0x40:
      return split_allocate(r);
    case 0x50:
      return corrupt("hash split record without the page's image");
    case 0x60:
      return split_complete(r);
    case 0x70:
      return move_contents(r);
    case 0x80:
      return squeeze(r);
    case 0x90:
      return remove(r);
    case 0xA0:
      return split_cleanup(r);
    case 0xB0:
      return update_meta(r);
    case 0xC0:
      return vacuum_one_page(r);
    default:
      return unknown_type();
  }
}

}  // namespace argon::pg::redo
