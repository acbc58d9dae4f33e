// A heap tuple header in place: access/htup_details.h of PostgreSQL 15. Internal to core/pg/redo.

#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/pg/constants.h"

namespace argon::pg::redo {

inline constexpr size_t kHeapTupleHeaderBytes = 23;
inline constexpr uint16_t kMovedPartitionsOffset = 0xFFFD;
inline constexpr uint16_t kSpecTokenOffset = 0xFFFE;

namespace infomask {
inline constexpr uint16_t kXmaxKeyshrLock = 0x0010;
inline constexpr uint16_t kComboCid = 0x0020;
inline constexpr uint16_t kXmaxExclLock = 0x0040;
inline constexpr uint16_t kXmaxLockOnly = 0x0080;
inline constexpr uint16_t kLockMask = kXmaxKeyshrLock | kXmaxExclLock;
inline constexpr uint16_t kXminFrozen = 0x0300;
inline constexpr uint16_t kXmaxCommitted = 0x0400;
inline constexpr uint16_t kXmaxInvalid = 0x0800;
inline constexpr uint16_t kXmaxIsMulti = 0x1000;
inline constexpr uint16_t kMoved = 0xC000;
inline constexpr uint16_t kXmaxBits =
    kXmaxCommitted | kXmaxInvalid | kXmaxIsMulti | kLockMask | kXmaxLockOnly;
inline constexpr uint16_t kXactMask = 0xFFF0;
}  // namespace infomask
namespace infomask2 {
inline constexpr uint16_t kKeysUpdated = 0x2000;
inline constexpr uint16_t kHotUpdated = 0x4000;
}  // namespace infomask2

// ItemPointerSet: block number as two halves, high first, then the item number.
inline void store_item_pointer(uint8_t* at, BlockNumber block, uint16_t number) {
  store_le(at, static_cast<uint16_t>(block >> 16));
  store_le(at + 2, static_cast<uint16_t>(block));
  store_le(at + 4, number);
}
inline BlockNumber load_item_block(const uint8_t* at) {
  return uint32_t{load_le<uint16_t>(at)} << 16 | load_le<uint16_t>(at + 2);
}

class HeapTuple {
 public:
  // REQUIRES: kHeapTupleHeaderBytes at `at`.
  explicit HeapTuple(uint8_t* at) : at_(at) {}

  void set_xmin(Xid xid) const { store_le(at_, xid); }
  void set_xmax(Xid xid) const { store_le(at_ + 4, xid); }
  void set_xvac(Xid xid) const { store_le(at_ + 8, xid); }
  void set_ctid(BlockNumber block, uint16_t number) const { store_item_pointer(at_ + 12, block, number); }
  uint16_t ctid_number() const { return load_le<uint16_t>(at_ + 16); }
  uint16_t mask2() const { return load_le<uint16_t>(at_ + 18); }
  void set_mask2(uint16_t bits) const { store_le(at_ + 18, bits); }
  void clear2(uint16_t bits) const { set_mask2(static_cast<uint16_t>(mask2() & ~bits)); }
  void add2(uint16_t bits) const { set_mask2(static_cast<uint16_t>(mask2() | bits)); }
  uint16_t mask() const { return load_le<uint16_t>(at_ + 20); }
  void set_mask(uint16_t bits) const { store_le(at_ + 20, bits); }
  void clear(uint16_t bits) const { set_mask(static_cast<uint16_t>(mask() & ~bits)); }
  void add(uint16_t bits) const { set_mask(static_cast<uint16_t>(mask() | bits)); }
  uint8_t hoff() const { return at_[22]; }
  void set_hoff(uint8_t offset) const { at_[22] = offset; }

  // HeapTupleHeaderSetCmin / SetCmax with FirstCommandId: redo knows no command ids.
  void set_first_command() const {
    store_le(at_ + 8, uint32_t{0});
    clear(infomask::kComboCid);
  }
  bool xmin_frozen() const { return (mask() & infomask::kXminFrozen) == infomask::kXminFrozen; }
  // HEAP_XMAX_IS_LOCKED_ONLY.
  bool xmax_locked_only() const {
    uint16_t bits = mask();
    return (bits & infomask::kXmaxLockOnly) != 0 ||
           (bits & (infomask::kXmaxIsMulti | infomask::kLockMask)) == infomask::kXmaxExclLock;
  }
  // What every change of xmax begins with.
  void forget_xmax() const {
    clear(infomask::kXmaxBits | infomask::kMoved);
    clear2(infomask2::kKeysUpdated);
  }

 private:
  uint8_t* at_;
};

}  // namespace argon::pg::redo
