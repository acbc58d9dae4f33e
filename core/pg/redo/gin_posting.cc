#include "core/pg/redo/gin_posting.h"

#include <cstring>
#include <optional>

#include "core/base/codec.h"
#include "core/pg/redo/page_ops.h"

namespace argon::pg::redo {
namespace {

constexpr int kItemNumberBits = 11;  // MaxHeapTuplesPerPageBits
constexpr int kMaxVarbytes = 7;
enum Action : uint8_t { kDelete = 1, kInsert = 2, kReplace = 3, kAddItems = 4 };

uint64_t tid_value(const uint8_t* tid) {
  return uint64_t{load_item_block(tid)} << kItemNumberBits | load_le<uint16_t>(tid + 4);
}

void store_tid(uint8_t* at, uint64_t value) {
  store_item_pointer(at, static_cast<BlockNumber>(value >> kItemNumberBits),
                     static_cast<uint16_t>(value & ((1u << kItemNumberBits) - 1)));
}

// The TIDs of a segment in order, as numbers.
class SegmentReader {
 public:
  // REQUIRES: a whole segment (leading_gin_segment).
  explicit SegmentReader(ByteView segment)
      : at_(segment.data() + kGinSegmentHeaderBytes),
        end_(at_ + load_le<uint16_t>(segment.data() + 6)),
        value_(tid_value(segment.data())) {}

  // Nothing at the end, or behind a broken number (then broken()).
  std::optional<uint64_t> next() {
    if (first_) {
      first_ = false;
      return value_;
    }
    if (at_ == end_) return std::nullopt;
    uint64_t delta = 0;
    for (int i = 0; i < kMaxVarbytes; i++) {
      if (at_ == end_) break;
      uint64_t byte = *at_++;
      delta |= (byte & 0x7F) << (7 * i);
      if ((byte & 0x80) == 0) {
        value_ += delta;
        return value_;
      }
    }
    broken_ = true;
    return std::nullopt;
  }
  bool broken() const { return broken_; }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  uint64_t value_;
  bool first_ = true;
  bool broken_ = false;
};

// Plain TIDs in order, as numbers.
class TidReader {
 public:
  explicit TidReader(ByteView tids) : tids_(tids) {}
  std::optional<uint64_t> next() {
    if (tids_.size() < kItemPointerBytes) return std::nullopt;
    uint64_t value = tid_value(tids_.data());
    tids_ = tids_.subspan(kItemPointerBytes);
    return value;
  }

 private:
  ByteView tids_;
};

}  // namespace

Result<ByteView> leading_gin_segment(ByteView bytes) {
  if (bytes.size() < kGinSegmentHeaderBytes) return corrupt("posting list ends inside a segment's header");
  size_t length = load_le<uint16_t>(bytes.data() + 6);
  size_t size = kGinSegmentHeaderBytes + length + length % 2;
  if (size > bytes.size()) return corrupt("posting list ends inside a segment");
  return bytes.first(size);
}

Result<Bytes> gin_segment_tids(ByteView segment) {
  SegmentReader reader(segment);
  Bytes tids;
  for (auto value = reader.next(); value; value = reader.next()) {
    tids.resize(tids.size() + kItemPointerBytes);
    store_tid(&tids[tids.size() - kItemPointerBytes], *value);
  }
  if (reader.broken()) return corrupt("posting list segment with a broken number");
  return tids;
}

Status GinSegments::append(ByteView segment) {
  if (segment.size() > bytes_.size() - size_) return corrupt("posting lists larger than a page");
  std::memcpy(bytes_.data() + size_, segment.data(), segment.size());
  size_ += segment.size();
  return {};
}

template <typename NextTid>
Status GinSegments::compress(NextTid next) {
  std::optional<uint64_t> value = next();
  if (!value) return corrupt("posting list without a TID");
  if (bytes_.size() - size_ < kGinSegmentHeaderBytes) return corrupt("posting lists larger than a page");
  uint8_t* start = bytes_.data() + size_;
  size_t at = size_ + kGinSegmentHeaderBytes;
  store_tid(start, *value);
  uint64_t previous = *value;
  for (value = next(); value; value = next()) {
    if (*value <= previous) return corrupt("TIDs of a posting list are not in order");
    uint64_t delta = *value - previous;
    previous = *value;
    if (bytes_.size() - at < kMaxVarbytes + 3) return corrupt("posting lists larger than a page");
    for (; delta > 0x7F; delta >>= 7) bytes_[at++] = static_cast<uint8_t>(0x80 | (delta & 0x7F));
    bytes_[at++] = static_cast<uint8_t>(delta);
  }
  size_t length = at - size_ - kGinSegmentHeaderBytes;
  store_le(start + 6, static_cast<uint16_t>(length));
  if (length % 2 != 0) {
    if (at == bytes_.size()) return corrupt("posting lists larger than a page");
    bytes_[at++] = 0;
  }
  size_ = at;
  return {};
}

Status GinSegments::append_compressed(ByteView tids) {
  TidReader reader(tids);
  return compress([&] { return reader.next(); });
}

Status GinSegments::append_merged(ByteView segment, ByteView tids) {
  SegmentReader old_reader(segment);
  TidReader new_reader(tids);
  std::optional<uint64_t> old_tid = old_reader.next();
  std::optional<uint64_t> new_tid = new_reader.next();
  TRY(compress([&]() -> std::optional<uint64_t> {
    bool take_new = new_tid && (!old_tid || *new_tid <= *old_tid);
    bool take_old = old_tid && (!new_tid || *old_tid <= *new_tid);
    std::optional<uint64_t> value = take_new ? new_tid : old_tid;
    if (take_new) new_tid = new_reader.next();
    if (take_old) old_tid = old_reader.next();
    return value;
  }));
  if (old_reader.broken()) return corrupt("posting list segment with a broken number");
  return {};
}

Status recompress_gin_segments(ByteView old, ByteView actions, GinSegments& out) {
  Reader in(actions);
  auto count = in.le<uint16_t>();
  uint32_t segment_number = 0;
  auto next_old = [&]() -> Result<ByteView> {
    TRY_ASSIGN(ByteView segment, leading_gin_segment(old));
    old = old.subspan(segment.size());
    segment_number++;
    return segment;
  };
  for (uint32_t i = 0; i < count; i++) {
    uint8_t number = in.u8();
    uint8_t action = in.u8();
    if (in.failed()) return corrupt("block data ends before its actions do");
    while (segment_number < number) {
      TRY_ASSIGN(ByteView segment, next_old());
      TRY(out.append(segment));
    }
    if (action == kDelete) {
      TRY(next_old());
    } else if (action == kInsert || action == kReplace) {
      TRY_ASSIGN(ByteView segment, leading_gin_segment(actions.subspan(in.offset())));
      in.skip(segment.size());
      TRY(out.append(segment));
      if (action == kReplace) TRY(next_old());
    } else if (action == kAddItems) {
      auto items = in.le<uint16_t>();
      ByteView tids = in.bytes(size_t{items} * kItemPointerBytes);
      if (in.failed()) return corrupt("block data ends before its items do");
      TRY_ASSIGN(ByteView segment, next_old());
      TRY(out.append_merged(segment, tids));
    } else {
      return corrupt("unknown action " + std::to_string(action) + " on a posting list");
    }
  }
  return out.append(old);
}

}  // namespace argon::pg::redo
