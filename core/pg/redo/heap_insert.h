// Building a heap tuple from a record, and the infomask bits that records carry. Internal.

#pragma once

#include <array>
#include <cstring>

#include "core/pg/redo/heap_tuple.h"
#include "core/pg/redo/page_ops.h"

namespace argon::pg::redo {

inline constexpr size_t kHeapHeaderBytes = 5;  // xl_heap_header: infomask2, infomask, hoff

// A tuple under construction, on the stack: a zeroed header, then what follows it.
class TupleBuffer {
 public:
  // `header` is an xl_heap_header; xmin is the record's transaction, ctid points to itself.
  void start(ByteView header, Xid xid, BlockNumber block, uint16_t number) {
    std::memset(bytes_.data(), 0, kHeapTupleHeaderBytes);
    HeapTuple tuple = this->header();
    tuple.set_mask2(load_le<uint16_t>(header.data()));
    tuple.set_mask(load_le<uint16_t>(header.data() + 2));
    tuple.set_hoff(header[4]);
    tuple.set_xmin(xid);
    tuple.set_first_command();
    tuple.set_ctid(block, number);
    size_ = kHeapTupleHeaderBytes;
  }
  Status append(ByteView more) {
    if (more.size() > bytes_.size() - size_) return corrupt("tuple larger than a page can hold");
    if (!more.empty()) std::memcpy(bytes_.data() + size_, more.data(), more.size());
    size_ += more.size();
    return {};
  }
  HeapTuple header() { return HeapTuple(bytes_.data()); }
  ByteView bytes() const { return {bytes_.data(), size_}; }

 private:
  std::array<uint8_t, kMaxHeapTupleBytes> bytes_;
  size_t size_ = 0;
};

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
