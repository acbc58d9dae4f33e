// Compressed posting lists of GIN: sorted heap TIDs as differences. Internal to core/pg/redo.
//
// A segment is the first TID (6 bytes), a uint16 count of the bytes that follow, and those bytes,
// padded to an even length: each further TID as its difference from the one before, 7 bits a byte.
// A leaf page of a posting tree holds segments one behind the other. Source:
// access/gin/ginpostinglist.c and ginRedoRecompress in ginxlog.c of PostgreSQL 15.

#pragma once

#include <array>

#include "core/base/result.h"
#include "core/pg/redo/index_tuple.h"
#include "core/pg/redo/page.h"

namespace argon::pg::redo {

inline constexpr size_t kGinSegmentHeaderBytes = 8;

// The segment at the head of `bytes`, padding included; Code::Corrupt where it does not end there.
Result<ByteView> leading_gin_segment(ByteView bytes);

// ginPostingListDecode: the TIDs of a whole segment (leading_gin_segment), in order, 6 bytes each.
Result<Bytes> gin_segment_tids(ByteView segment);

// Segments on the stack, up to a page's worth.
class GinSegments {
 public:
  Status append(ByteView segment);
  // ginCompressPostingList of the TIDs (6 bytes each, ascending).
  Status append_compressed(ByteView tids);
  // ginPostingListDecode, ginMergeItemPointers and ginCompressPostingList of a segment and TIDs.
  Status append_merged(ByteView segment, ByteView tids);
  ByteView bytes() const { return {bytes_.data(), size_}; }

 private:
  template <typename NextTid>
  Status compress(NextTid next);

  std::array<uint8_t, kPageBytes> bytes_;
  size_t size_ = 0;
};

// ginRedoRecompress: `old` segments changed by `actions` (ginxlogRecompressDataLeaf), into `out`.
Status recompress_gin_segments(ByteView old, ByteView actions, GinSegments& out);

}  // namespace argon::pg::redo
