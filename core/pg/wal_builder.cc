#include "core/pg/wal_builder.h"

#include <lz4.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/base/codec.h"
#include "core/pg/record_types.h"
#include "core/pg/wal_record.h"
#include "core/pg/zstd.h"

namespace argon::pg {

namespace {

// The compressed bytes, empty where compression does not pay for its extra header.
Bytes compress(ByteView in, ImageCompression method, size_t extra) {
  Bytes out(in.size() + 512);
  size_t n = 0;
  if (method == ImageCompression::Lz4) {
    int written =
        LZ4_compress_default(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                             static_cast<int>(in.size()), static_cast<int>(out.size()));
    n = written > 0 ? static_cast<size_t>(written) : 0;
  } else {
    out = zstd_compress(in, 3);
    n = out.size();
  }
  if (n == 0 || n + extra >= in.size()) return {};
  out.resize(n);
  return out;
}

}  // namespace

RecordBuilder::RecordBuilder(Rmgr rmgr, uint8_t info, Xid xid)
    : rmid_(static_cast<uint8_t>(rmgr)), info_(info), xid_(xid) {}

RecordBuilder& RecordBuilder::main(ByteView bytes) {
  append(main_, bytes);
  return *this;
}

RecordBuilder& RecordBuilder::block(uint8_t id, const RelTag& rel, BlockNumber blkno, bool will_init) {
  CHECK(id <= kMaxBlockId);
  CHECK(blocks_.empty() || blocks_.back().id < id, "block ids must ascend");
  blocks_.push_back(Block{id, rel, blkno, will_init, false, {}, {}});
  return *this;
}

RecordBuilder& RecordBuilder::data(ByteView bytes) {
  CHECK(!blocks_.empty());
  append(blocks_.back().data, bytes);
  CHECK(blocks_.back().data.size() <= UINT16_MAX, "a block's data is limited to 65535 bytes");
  return *this;
}

RecordBuilder& RecordBuilder::image(ByteView page, bool apply, bool standard, ImageCompression compression) {
  CHECK(!blocks_.empty() && page.size() == kBlockSize);
  Image& image = blocks_.back().image;
  image = Image{};
  blocks_.back().has_image = true;
  if (apply) image.info |= kImageApply;
  auto lower = load_le<uint16_t>(page.data() + 12);
  auto upper = load_le<uint16_t>(page.data() + 14);
  bool hole = standard && lower >= 24 && upper > lower && upper <= kBlockSize;
  if (hole) {
    image.info |= kImageHasHole;
    image.hole_offset = lower;
    image.hole_length = static_cast<uint16_t>(upper - lower);
  }
  image.bytes = to_bytes(page.first(kBlockSize));
  if (hole) image.bytes.erase(image.bytes.begin() + lower, image.bytes.begin() + upper);
  if (compression == ImageCompression::None) return *this;
  Bytes packed = compress(image.bytes, compression, hole ? 2 : 0);
  if (packed.empty()) return *this;
  image.bytes = std::move(packed);
  image.info |= compression == ImageCompression::Lz4 ? kImageLz4 : kImageZstd;
  return *this;
}

RecordBuilder& RecordBuilder::origin(uint16_t id) {
  origin_ = id;
  return *this;
}

RecordBuilder& RecordBuilder::toplevel_xid(Xid xid) {
  toplevel_xid_ = xid;
  return *this;
}

void RecordBuilder::append_block_header(Bytes& out, const Block& block, bool same_rel) {
  Writer w(out);
  uint8_t flags = static_cast<uint8_t>(block.rel.fork);
  if (block.has_image) flags |= kBlockHasImage;
  if (!block.data.empty()) flags |= kBlockHasData;
  if (block.will_init) flags |= kBlockWillInit;
  if (same_rel) flags |= kBlockSameRel;
  w.u8(block.id).u8(flags).le(static_cast<uint16_t>(block.data.size()));
  if (block.has_image) {
    const Image& image = block.image;
    w.le(static_cast<uint16_t>(image.bytes.size())).le(image.hole_offset).u8(image.info);
    if ((image.info & kImageCompressed) && (image.info & kImageHasHole)) w.le(image.hole_length);
  }
  if (!same_rel) w.le(block.rel.node.spc).le(block.rel.node.db).le(block.rel.node.rel);
  w.le(block.blkno);
}

Bytes RecordBuilder::build(Lsn prev) const {
  Bytes out;
  Writer w(out);
  w.le(uint32_t{0}).le(xid_).le(prev.value).u8(info_).u8(rmid_).zeros(2).le(uint32_t{0});
  const Block* before = nullptr;
  for (const Block& block : blocks_) {
    append_block_header(out, block, before != nullptr && before->rel.node == block.rel.node);
    before = &block;
  }
  if (origin_ != 0) w.u8(kBlockIdOrigin).le(origin_);
  if (toplevel_xid_ != kInvalidXid) w.u8(kBlockIdToplevelXid).le(toplevel_xid_);
  if (main_.size() > 255)
    w.u8(kBlockIdMainLong).le(static_cast<uint32_t>(main_.size()));
  else if (!main_.empty())
    w.u8(kBlockIdMainShort).u8(static_cast<uint8_t>(main_.size()));
  for (const Block& block : blocks_) {
    append(out, block.image.bytes);
    append(out, block.data);
  }
  append(out, main_);
  CHECK(out.size() <= kMaxRecordLength);
  store_le(out.data(), static_cast<uint32_t>(out.size()));
  store_le(out.data() + kRecordCrcOffset, compute_record_crc(out));
  return out;
}

WalWriter::WalWriter(WalIdentity identity, Lsn position, Lsn previous)
    : identity_(identity), position_(position), previous_(previous) {
  CHECK(page_offset(position) == 0 || is_record_position(position), to_string(position));
}

Bytes WalWriter::take() {
  return std::exchange(out_, {});
}

void WalWriter::put(ByteView bytes) {
  argon::append(out_, bytes);
  position_ += bytes.size();
}

void WalWriter::header(uint16_t info, uint32_t rem_len) {
  size_t before = out_.size();
  append_page_header(out_, {info, identity_.tli, position_, rem_len}, identity_.system_id);
  position_ += out_.size() - before;
}

PlacedRecord WalWriter::append(const RecordBuilder& record) {
  return append_whole(record.build(previous_));
}

PlacedRecord WalWriter::append_whole(ByteView record) {
  CHECK(record.size() >= kRecordHeader && load_le<uint64_t>(record.data() + 8) == previous_.value);
  if (page_offset(position_) == 0) header(0, 0);
  Lsn start = position_;
  while (!record.empty()) {
    if (page_offset(position_) == 0) header(kWalFirstIsContrecord, static_cast<uint32_t>(record.size()));
    size_t n = std::min<size_t>(record.size(), kWalBlockSize - page_offset(position_));
    put(record.first(n));
    record = record.subspan(n);
  }
  size_t padding = align8(position_.value) - position_.value;
  out_.insert(out_.end(), padding, 0);
  position_ += padding;
  previous_ = start;
  return {start, position_};
}

PlacedRecord WalWriter::append_switch() {
  PlacedRecord placed = append(RecordBuilder(Rmgr::Xlog, xlog::kSwitch));
  fill_segment();
  return {placed.start, position_};
}

void WalWriter::fill_segment() {
  if (segment_offset(position_) == 0) return;
  size_t left = kWalSegmentSize - segment_offset(position_);
  out_.insert(out_.end(), left, 0);
  position_ += left;
}

}  // namespace argon::pg
