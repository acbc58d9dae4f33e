// A record's tuple put on its page, and the infomask bits that records carry. Internal.

#pragma once

#include <cstring>

#include "core/pg/redo/context.h"
#include "core/pg/redo/heap_tuple.h"
#include "core/pg/redo/page_ops.h"

namespace argon::pg::redo {

inline constexpr size_t kHeapHeaderBytes = 5;  // xl_heap_header: infomask2, infomask, hoff

// Makes item `number` of the page a tuple with `body_bytes` behind its header, and gives where the caller
// writes them: all of them. `header` is an xl_heap_header; xmin is the record's transaction, ctid points to
// the tuple itself.
inline Result<uint8_t*> make_tuple(const Redo& r, ByteView header, uint16_t number, size_t body_bytes,
                                   Xid xmax = kInvalidXid) {
  TRY_ASSIGN(AddedItem added,
             page_make_item(r.page, kHeapTupleHeaderBytes + body_bytes, number, kAddOverwrite | kAddHeap));
  HeapTuple tuple(added.at);
  tuple.set_xmin(r.record.xid);
  tuple.set_xmax(xmax);
  tuple.set_mask2(load_le<uint16_t>(header.data()));
  tuple.set_mask(load_le<uint16_t>(header.data() + 2));
  tuple.set_hoff(header[4]);
  tuple.set_first_command();
  tuple.set_ctid(r.block.blkno, number);
  return added.at + kHeapTupleHeaderBytes;
}

// Writes `bytes` and gives the place behind them.
inline uint8_t* put(uint8_t* at, ByteView bytes) {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

// fix_infomask_from_infobits.
inline void set_infobits(HeapTuple tuple, uint8_t infobits) {
  tuple.clear(infomask::kXmaxIsMulti | infomask::kXmaxLockOnly | infomask::kLockMask);
  tuple.clear2(infomask2::kKeysUpdated);
  if (infobits & 0x01) tuple.add(infomask::kXmaxIsMulti);
  if (infobits & 0x02) tuple.add(infomask::kXmaxLockOnly);
  if (infobits & 0x04) tuple.add(infomask::kXmaxExclLock);
  if (infobits & 0x08) tuple.add(infomask::kXmaxKeyshrLock);
  if (infobits & 0x10) tuple.add2(infomask2::kKeysUpdated);
}

}  // namespace argon::pg::redo
