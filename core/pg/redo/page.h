// A view of one 8 KiB PostgreSQL page in place: header fields, line pointers, items, special area.
//
// Layout: storage/bufpage.h and storage/itemid.h of PostgreSQL 15. The view owns nothing.
// Line pointers and items are safe to touch only on a page whose header is sane (header_sane());
// the item accessors then check that the bytes they hand out lie inside the page, so that no
// content of a page can make a caller read or write outside it.

#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/pg/constants.h"

namespace argon::pg::redo {

inline constexpr size_t kPageBytes = kBlockSize;
inline constexpr uint16_t kPageHeaderBytes = 24;
inline constexpr uint16_t kItemIdBytes = 4;
inline constexpr uint16_t kPageSizeAndVersion = 8192 | 4;
inline constexpr uint16_t kMaxHeapTuplesPerPage = 291;
inline constexpr uint16_t kMaxIndexTuplesPerPage = 407;
// The most line pointers that any page with a sane header can hold.
inline constexpr uint16_t kMaxItemIds = (kPageBytes - kPageHeaderBytes) / kItemIdBytes;

// One line pointer: offset (15 bits), state (2 bits), length (15 bits).
struct ItemId {
  enum State : uint32_t { kUnused = 0, kNormal = 1, kRedirect = 2, kDead = 3 };

  uint32_t raw = 0;

  static constexpr ItemId make(State state, uint32_t offset, uint32_t length) {
    return ItemId{(offset & 0x7FFF) | (static_cast<uint32_t>(state) << 15) | (length << 17)};
  }
  constexpr uint16_t offset() const { return raw & 0x7FFF; }
  constexpr State state() const { return static_cast<State>((raw >> 15) & 3); }
  constexpr uint16_t length() const { return static_cast<uint16_t>(raw >> 17); }
  constexpr bool used() const { return state() != kUnused; }
  constexpr bool normal() const { return state() == kNormal; }
  constexpr bool dead() const { return state() == kDead; }
  constexpr bool redirected() const { return state() == kRedirect; }
  constexpr bool has_storage() const { return length() != 0; }
  constexpr ItemId moved(int delta) const {
    return ItemId{(raw & ~uint32_t{0x7FFF}) | (static_cast<uint32_t>(offset() + delta) & 0x7FFF)};
  }
};

class Page {
 public:
  enum Flag : uint16_t { kHasFreeLines = 1, kFull = 2, kAllVisible = 4 };

  // REQUIRES: bytes of exactly one page.
  explicit Page(ByteSpan bytes) : at_(bytes.data()) {}
  explicit Page(uint8_t* at) : at_(at) {}

  uint8_t* data() const { return at_; }
  ByteSpan bytes() const { return {at_, kPageBytes}; }

  template <typename Integer>
  Integer get(size_t offset) const {
    return load_le<Integer>(at_ + offset);
  }
  template <typename Integer>
  void set(size_t offset, Integer value) const {
    store_le(at_ + offset, value);
  }

  Lsn lsn() const { return Lsn(uint64_t{get<uint32_t>(0)} << 32 | get<uint32_t>(4)); }
  void set_lsn(Lsn lsn) const {
    set<uint32_t>(0, static_cast<uint32_t>(lsn.value >> 32));
    set<uint32_t>(4, static_cast<uint32_t>(lsn.value));
  }
  uint16_t checksum() const { return get<uint16_t>(8); }
  void set_checksum(uint16_t value) const { set(8, value); }
  uint16_t flags() const { return get<uint16_t>(10); }
  void set_flag(Flag flag) const { set<uint16_t>(10, flags() | flag); }
  void clear_flag(Flag flag) const { set<uint16_t>(10, flags() & ~flag); }
  bool has_flag(Flag flag) const { return (flags() & flag) != 0; }
  uint16_t lower() const { return get<uint16_t>(12); }
  void set_lower(uint32_t value) const { set(12, static_cast<uint16_t>(value)); }
  uint16_t upper() const { return get<uint16_t>(14); }
  void set_upper(uint32_t value) const { set(14, static_cast<uint16_t>(value)); }
  uint16_t special() const { return get<uint16_t>(16); }
  uint32_t prune_xid() const { return get<uint32_t>(20); }
  void set_prune_xid(uint32_t xid) const { set(20, xid); }

  // PageIsNew: never initialised (all zeros, or at least no upper bound).
  bool is_new() const { return upper() == 0; }
  // 24 <= lower <= upper <= special <= 8192, special aligned.
  bool header_sane() const {
    return lower() >= kPageHeaderBytes && lower() <= upper() && upper() <= special() &&
           special() <= kPageBytes && special() % 8 == 0;
  }
  size_t special_bytes() const { return kPageBytes - special(); }
  // The special area where it has exactly `size` bytes, else nullptr.
  uint8_t* special_area(size_t size) const {
    return special() == kPageBytes - size ? at_ + special() : nullptr;
  }

  // PageGetMaxOffsetNumber.
  uint16_t max_offset() const {
    uint16_t end = lower();
    return end <= kPageHeaderBytes ? 0 : static_cast<uint16_t>((end - kPageHeaderBytes) / kItemIdBytes);
  }
  bool has_item(uint32_t number) const { return number >= 1 && number <= max_offset(); }
  // REQUIRES: sane header, 1 <= number <= max_offset() (for set_item: the slot lies inside the page).
  ItemId item(uint32_t number) const {
    return {get<uint32_t>(kPageHeaderBytes + (number - 1) * kItemIdBytes)};
  }
  void set_item(uint32_t number, ItemId id) const {
    set(kPageHeaderBytes + (number - 1) * kItemIdBytes, id.raw);
  }

  // The bytes of item `number` where it exists, has storage inside the page and at least
  // `least` bytes; else an empty span.
  ByteSpan stored_item(uint32_t number, size_t least) const {
    if (!has_item(number)) return {};
    ItemId id = item(number);
    if (id.length() < least || !id.has_storage()) return {};
    if (id.offset() < kPageHeaderBytes || id.offset() + id.length() > kPageBytes) return {};
    return {at_ + id.offset(), id.length()};
  }
  // The same, only for a line pointer in the state "normal" (ItemIdIsNormal).
  ByteSpan normal_item(uint32_t number, size_t least) const {
    if (!has_item(number) || !item(number).normal()) return {};
    return stored_item(number, least);
  }

 private:
  uint8_t* at_;
};

}  // namespace argon::pg::redo
