#include "core/pg/redo/btree_posting.h"

#include <cstring>

#include "core/pg/redo/page_ops.h"

namespace argon::pg::redo {
namespace {

constexpr uint16_t kAltTidMask = 0x2000;  // INDEX_ALT_TID_MASK, in t_info
constexpr uint16_t kIsPosting = 0x2000;   // BT_IS_POSTING, in the TID's item number
constexpr uint16_t kCountMask = 0x0FFF;   // BT_OFFSET_MASK

void set_size(uint8_t* tuple, size_t size) {
  store_le(tuple + 6, static_cast<uint16_t>((index_tuple_info(tuple) & ~kIndexSizeMask) | size));
}

// The key part of a tuple and the size of a tuple that adds a list of `count` TIDs to it.
Status check_size(size_t key_size, size_t count) {
  if (key_size >= kIndexTupleHeaderBytes && key_size + count * kItemPointerBytes + 7 <= kIndexSizeMask)
    return {};
  return corrupt("posting list tuple with " + std::to_string(count) + " TIDs is too large");
}

}  // namespace

bool is_posting(ByteView tuple) {
  return tuple.size() >= kIndexTupleHeaderBytes && (index_tuple_info(tuple.data()) & kAltTidMask) &&
         (load_le<uint16_t>(tuple.data() + 4) & kIsPosting);
}

Result<Posting> posting_of(ByteView tuple) {
  if (!is_posting(tuple)) return corrupt("not a posting list tuple");
  size_t start = load_item_block(tuple.data());
  size_t count = load_le<uint16_t>(tuple.data() + 4) & kCountMask;
  if (count == 0 || start < kIndexTupleHeaderBytes || start > tuple.size() ||
      count * kItemPointerBytes > tuple.size() - start)
    return corrupt("posting list outside its tuple");
  return Posting{start, count};
}

Status swap_posting(ByteSpan old_posting, ByteSpan new_item, uint16_t position) {
  TRY_ASSIGN(Posting list, posting_of(old_posting));
  if (position == 0 || position >= list.count)
    return corrupt("posting list of " + std::to_string(list.count) + " TIDs cannot be split at " +
                   std::to_string(position));
  if (new_item.size() < kIndexTupleHeaderBytes) return corrupt("index tuple without a header");
  uint8_t* tids = old_posting.data() + list.key_size;
  uint8_t* gap = tids + position * kItemPointerBytes;
  std::array<uint8_t, kItemPointerBytes> last;
  std::memcpy(last.data(), tids + (list.count - 1) * kItemPointerBytes, kItemPointerBytes);
  std::memmove(gap + kItemPointerBytes, gap, (list.count - position - 1) * kItemPointerBytes);
  std::memcpy(gap, new_item.data(), kItemPointerBytes);
  std::memcpy(new_item.data(), last.data(), kItemPointerBytes);
  return {};
}

Status BuiltTuple::form(ByteView base, ByteView tids) {
  size_t key_size = index_tuple_size(base.data());
  if (is_posting(base)) {
    TRY_ASSIGN(Posting list, posting_of(base));
    key_size = list.key_size;
  }
  size_t count = tids.size() / kItemPointerBytes;
  if (key_size > base.size()) return corrupt("index tuple longer than its item");
  TRY(check_size(key_size, count));
  size_ = count > 1 ? align8(key_size + tids.size()) : key_size;
  std::memset(bytes_.data(), 0, size_);
  std::memcpy(bytes_.data(), base.data(), key_size);
  set_size(bytes_.data(), size_);
  uint16_t info = index_tuple_info(bytes_.data());
  if (count > 1) {
    store_le(bytes_.data() + 6, static_cast<uint16_t>(info | kAltTidMask));
    store_item_pointer(bytes_.data(), static_cast<BlockNumber>(key_size),
                       static_cast<uint16_t>(count | kIsPosting));
    std::memcpy(bytes_.data() + key_size, tids.data(), tids.size());
  } else {
    store_le(bytes_.data() + 6, static_cast<uint16_t>(info & ~kAltTidMask));
    std::memcpy(bytes_.data(), tids.data(), kItemPointerBytes);
  }
  return {};
}

Status BuiltTuple::without(ByteView posting, ByteView positions) {
  TRY_ASSIGN(Posting list, posting_of(posting));
  std::array<uint8_t, kPageBytes> tids;
  size_t kept = 0;
  size_t next = 0;
  for (size_t i = 0; i < list.count; i++) {
    if (next < positions.size() && load_le<uint16_t>(positions.data() + next) == i) {
      next += 2;
      continue;
    }
    std::memcpy(tids.data() + kept, posting.data() + list.key_size + i * kItemPointerBytes,
                kItemPointerBytes);
    kept += kItemPointerBytes;
  }
  if (next != positions.size()) return corrupt("TIDs to delete are not in the posting list or out of order");
  if (kept == 0) return corrupt("a posting list would lose all its TIDs");
  return form(posting, ByteView(tids.data(), kept));
}

}  // namespace argon::pg::redo
