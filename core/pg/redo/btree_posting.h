// Posting list tuples of nbtree: many heap TIDs under one key. Internal to core/pg/redo.
//
// Layout: access/nbtree.h of PostgreSQL 15. The tuple's own TID field holds the list's place and
// length; the list of 6-byte TIDs follows the key and ends the tuple (rounded up to 8).

#pragma once

#include <array>

#include "core/base/result.h"
#include "core/pg/redo/index_tuple.h"
#include "core/pg/redo/page.h"

namespace argon::pg::redo {

// INDEX_ALT_TID_MASK and BT_IS_POSTING: the TID field does not hold a heap TID, but a posting list's place.
bool is_posting(ByteView tuple);

struct Posting {
  size_t key_size;  // where the list begins
  size_t count;
};
// Code::Corrupt if it is no posting list tuple or its list does not lie inside it.
Result<Posting> posting_of(ByteView tuple);

// _bt_swap_posting: puts the TID of `new_item` at `position` of the list, in place; the list's
// last TID, which falls out, becomes the new item's. Both are changed.
Status swap_posting(ByteSpan old_posting, ByteSpan new_item, uint16_t position);

// A tuple built on the stack.
class BuiltTuple {
 public:
  // _bt_form_posting: the key of `base` with this list of TIDs (6 bytes each, at least one).
  Status form(ByteView base, ByteView tids);
  // _bt_update_posting: `posting` without the TIDs whose positions (uint16 each, ascending) are listed.
  Status without(ByteView posting, ByteView positions);
  ByteView bytes() const { return {bytes_.data(), size_}; }

 private:
  std::array<uint8_t, kPageBytes> bytes_;
  size_t size_ = 0;
};

}  // namespace argon::pg::redo
