#include "core/pg/wal_record.h"

#include <lz4.h>

#include "core/base/checksum.h"
#include "core/pg/pglz.h"
#include "core/pg/record_names.h"
#include "core/pg/zstd.h"

namespace argon::pg {

namespace {

[[gnu::cold, gnu::noinline]] Error bad_record(Lsn start, std::string what) {
  return Error(Code::Corrupt, "WAL record at " + to_string(start) + ": " + std::move(what));
}

// Reads the fragment headers of one record. `headers_left` excludes payload bytes announced.
class HeaderReader {
 public:
  HeaderReader(ByteView body) : at_(body.data()), left_(body.size()) {}

  bool more() const { return left_ > payload_; }
  template <typename Integer>
  bool read(Integer& value) {
    if (left_ < sizeof value) return false;
    value = load_le<Integer>(at_);
    at_ += sizeof value;
    left_ -= sizeof value;
    return true;
  }
  bool read(RelFileNode& rel) { return read(rel.spc) && read(rel.db) && read(rel.rel); }
  void announce(size_t payload) { payload_ += payload; }
  bool complete() const { return left_ == payload_; }
  const uint8_t* payload() const { return at_; }

 private:
  const uint8_t* at_;
  size_t left_;
  size_t payload_ = 0;
};

constexpr const char* kShort = "its headers are longer than the record";

// What is wrong with the image's header, or null.
const char* image_flaw(const DecodedBlock& b, size_t length) {
  bool hole = b.image_info & kImageHasHole;
  if (hole && (b.hole_offset == 0 || b.hole_length == 0 || length == kBlockSize))
    return "a block image's hole contradicts its flags";
  if (!hole && (b.hole_offset != 0 || b.hole_length != 0)) return "a block image has a hole without the flag";
  if (size_t{b.hole_offset} + b.hole_length > kBlockSize) return "a block image's hole ends behind the page";
  if (b.compressed() && length == kBlockSize) return "a compressed block image is as long as a page";
  if (!hole && !b.compressed() && length != kBlockSize) return "a whole block image is not as long as a page";
  return nullptr;
}

const char* read_image_header(HeaderReader& in, DecodedBlock& b) {
  uint16_t length;
  if (!in.read(length) || !in.read(b.hole_offset) || !in.read(b.image_info)) return kShort;
  b.apply_image = b.image_info & kImageApply;
  if (!b.compressed()) {
    if (length > kBlockSize) return "a block image is longer than a page";
    b.hole_length = static_cast<uint16_t>(kBlockSize - length);
  } else if (b.image_info & kImageHasHole) {
    if (!in.read(b.hole_length)) return kShort;
  }
  in.announce(length);
  b.image = ByteView(in.payload(), length);
  return image_flaw(b, length);
}

// Lengths of image and data are kept as views with a placeholder start until all headers are read.
const char* read_block_header(HeaderReader& in, uint8_t id, const RelFileNode* previous, DecodedBlock& b) {
  b = DecodedBlock{};
  b.id = id;
  uint8_t fork_flags;
  uint16_t data_length;
  if (!in.read(fork_flags) || !in.read(data_length)) return kShort;
  uint8_t fork = fork_flags & kBlockForkMask;
  if (fork > kLastFork) return "a block reference names an unknown fork";
  b.fork = static_cast<Fork>(fork);
  b.flags = fork_flags & static_cast<uint8_t>(~kBlockForkMask);
  b.has_image = fork_flags & kBlockHasImage;
  b.will_init = fork_flags & kBlockWillInit;
  if (((fork_flags & kBlockHasData) != 0) != (data_length != 0))
    return "a block reference's data flag contradicts its length";
  in.announce(data_length);
  b.data = ByteView(in.payload(), data_length);
  if (b.has_image)
    if (const char* flaw = read_image_header(in, b)) return flaw;
  if (!(fork_flags & kBlockSameRel)) {
    if (!in.read(b.rel)) return kShort;
  } else {
    if (previous == nullptr) return "the first block reference has no relation";
    b.rel = *previous;
  }
  if (!in.read(b.blkno)) return kShort;
  return nullptr;
}

const char* read_headers(HeaderReader& in, DecodedRecord& out, size_t& main_length) {
  const RelFileNode* previous = nullptr;
  while (in.more()) {
    uint8_t id;
    if (!in.read(id)) return kShort;
    if (id == kBlockIdMainShort || id == kBlockIdMainLong) {
      uint8_t length8 = 0;
      uint32_t length32 = 0;
      if (!(id == kBlockIdMainShort ? in.read(length8) : in.read(length32))) return kShort;
      main_length = size_t{length8} + length32;
      in.announce(main_length);
      return nullptr;  // main data is always the last fragment
    }
    if (id == kBlockIdOrigin) {
      if (!in.read(out.origin)) return kShort;
    } else if (id == kBlockIdToplevelXid) {
      if (!in.read(out.toplevel_xid)) return kShort;
    } else if (id <= kMaxBlockId) {
      if (out.block_count > 0 && id <= out.block_array[out.block_count - 1].id)
        return "its block ids are out of order";
      DecodedBlock& b = out.block_array[out.block_count];
      if (const char* flaw = read_block_header(in, id, previous, b)) return flaw;
      previous = &b.rel;
      out.block_count++;
    } else {
      return "it has a fragment of unknown kind";
    }
  }
  return nullptr;
}

}  // namespace

const DecodedBlock* DecodedRecord::block(uint8_t id) const {
  for (const DecodedBlock& b : blocks())
    if (b.id == id) return &b;
  return nullptr;
}

Status decode_record(ByteView whole, Lsn start, Lsn end, DecodedRecord& out) {
  if (whole.size() < kRecordHeader) return bad_record(start, "it is shorter than a header");
  if (load_le<uint32_t>(whole.data()) != whole.size())
    return bad_record(start, "its length is not as announced");
  out.start_lsn = start;
  out.end_lsn = end;
  out.xid = load_le<uint32_t>(whole.data() + 4);
  out.prev = Lsn(load_le<uint64_t>(whole.data() + 8));
  out.info = whole[16];
  out.rmid = whole[17];
  out.origin = 0;
  out.toplevel_xid = kInvalidXid;
  out.block_count = 0;
  out.raw = whole;
  if (!is_known_rmgr(out.rmid))
    return bad_record(start, "unknown resource manager " + std::to_string(out.rmid));

  HeaderReader in(whole.subspan(kRecordHeader));
  size_t main_length = 0;
  if (const char* flaw = read_headers(in, out, main_length)) return bad_record(start, flaw);
  if (!in.complete()) return bad_record(start, "its parts do not add up to its length");

  const uint8_t* at = in.payload();
  for (DecodedBlock& b : std::span(out.block_array.data(), out.block_count)) {
    b.image = ByteView(at, b.image.size());
    at += b.image.size();
    b.data = ByteView(at, b.data.size());
    at += b.data.size();
  }
  out.main_data = ByteView(at, main_length);
  return {};
}

Result<DecodedRecord> decode_record(ByteView whole, Lsn start, Lsn end) {
  DecodedRecord record;
  TRY(decode_record(whole, start, end, record));
  return record;
}

uint32_t compute_record_crc(ByteView whole) {
  uint32_t crc = crc32c(whole.subspan(kRecordHeader));
  return crc32c_extend(crc, whole.first(kRecordCrcOffset));
}

bool check_record_crc(ByteView whole) {
  return compute_record_crc(whole) == load_le<uint32_t>(whole.data() + kRecordCrcOffset);
}

namespace {

bool decompress(const DecodedBlock& block, ByteSpan out) {
  if (block.image_info & kImagePglz) return pglz_decompress(block.image, out).ok();
  if (block.image_info & kImageLz4) {
    int n = LZ4_decompress_safe(reinterpret_cast<const char*>(block.image.data()),
                                reinterpret_cast<char*>(out.data()), static_cast<int>(block.image.size()),
                                static_cast<int>(out.size()));
    return n == static_cast<int>(out.size());
  }
  return zstd_decompress(block.image, out);
}

}  // namespace

Status restore_image(const DecodedBlock& block, ByteSpan page) {
  CHECK(page.size() == kBlockSize);
  if (!block.has_image) return Error(Code::Invalid, "block " + to_string(block.tag()) + " has no image");
  std::array<uint8_t, kBlockSize> buffer;
  ByteView packed = block.image;
  if (block.compressed()) {
    ByteSpan out(buffer.data(), kBlockSize - block.hole_length);
    if (!decompress(block, out))
      return Error(Code::Corrupt, "image of block " + to_string(block.tag()) + " cannot be decompressed");
    packed = out;
  }
  size_t before = block.hole_offset, hole = block.hole_length, behind = before + hole;
  CHECK(packed.size() == kBlockSize - hole && behind <= kBlockSize);
  std::memcpy(page.data(), packed.data(), before);
  std::memset(page.data() + before, 0, hole);
  std::memcpy(page.data() + behind, packed.data() + before, kBlockSize - behind);
  return {};
}

std::string to_string(const DecodedRecord& record) {
  return std::string(rmgr_name(record.rmid)) + "/" + record_name(record.rmid, record.info) + " at " +
         to_string(record.start_lsn) + " (prev " + to_string(record.prev) + ", xid " +
         std::to_string(record.xid) + ", " + std::to_string(record.block_count) + " blocks, " +
         std::to_string(record.main_data.size()) + " bytes of main data)";
}

}  // namespace argon::pg
