// One WAL record of PostgreSQL 15, taken apart: header, block references, main data.
//
// A DecodedRecord borrows everything from the bytes it was decoded from: they must outlive it.
// Nothing is allocated. Decoding checks the layout of the record (every length, order of block
// ids, agreement of flags and lengths), not its CRC: the stream decoder (wal_stream.h) or
// check_record_crc() does that. No payload is aligned: read it with load_le or memcpy.
// Source: access/xlogrecord.h, DecodeXLogRecord and RestoreBlockImage in xlogreader.c.

#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/pg/constants.h"
#include "core/pg/rel.h"

namespace argon::pg {

struct DecodedBlock {
  uint8_t id;     // 0..32, ascending within a record, gaps are possible
  uint8_t flags;  // kBlockHasImage | kBlockHasData | kBlockWillInit | kBlockSameRel, without the fork
  Fork fork;
  bool has_image;        // an image is there: for redo (apply_image) or for the consistency check only
  bool apply_image;      // redo must take the image as the page
  bool will_init;        // redo makes the page anew; its old content is not needed
  uint8_t image_info;    // kImage… flags; 0 without an image
  uint16_t hole_offset;  // the image's bytes left out, and zero: [hole_offset, hole_offset + hole_length)
  uint16_t hole_length;
  RelFileNode rel;
  BlockNumber blkno;
  ByteView image;  // as in the record: without the hole, maybe compressed; empty without an image
  ByteView data;   // empty if there is none

  RelTag rel_tag() const { return {rel, fork}; }
  BlockTag tag() const { return {{rel, fork}, blkno}; }
  bool compressed() const { return (image_info & kImageCompressed) != 0; }
};

struct DecodedRecord {
  Lsn start_lsn;
  Lsn end_lsn;  // start of the next record, page header not skipped; the page LSN after redo
  Xid xid;
  Lsn prev;  // start of the record before
  uint8_t info;
  uint8_t rmid;
  uint16_t origin;   // replication origin, 0 if none
  Xid toplevel_xid;  // 0 if none
  uint8_t block_count;
  ByteView raw;  // the whole record: header and payload, without page headers and padding
  ByteView main_data;
  std::array<DecodedBlock, kMaxBlockId + 1> block_array;  // [0, block_count) are set

  std::span<const DecodedBlock> blocks() const { return {block_array.data(), block_count}; }
  // The block reference with this id, or null.
  const DecodedBlock* block(uint8_t id) const;
  uint8_t type() const { return info & kInfoRmgrMask; }
  bool is(Rmgr rmgr) const { return rmid == static_cast<uint8_t>(rmgr); }
  bool is(Rmgr rmgr, uint8_t record_type) const { return is(rmgr) && type() == record_type; }
};

// `whole` is one record, exactly xl_tot_len bytes. Code::Corrupt names `start` and what is wrong.
// `out` is overwritten; after an error its content means nothing.
Status decode_record(ByteView whole, Lsn start, Lsn end, DecodedRecord& out);
// The same for callers that do not count nanoseconds.
Result<DecodedRecord> decode_record(ByteView whole, Lsn start, Lsn end);

// Whether xl_crc of a whole record is right. REQUIRES: whole.size() >= kRecordHeader.
bool check_record_crc(ByteView whole);
// The CRC that belongs into a whole record; the bytes of the field itself do not count.
uint32_t compute_record_crc(ByteView whole);

// Writes the page that the image stands for: decompressed (pglz, lz4, zstd), hole zero-filled.
// The image's LSN is the one before the record: redo sets it. Code::Corrupt for a broken image,
// Code::Invalid if the block has none. REQUIRES: page.size() == kBlockSize.
Status restore_image(const DecodedBlock& block, ByteSpan page);

// "Heap/0x80 at 0/16B2D88 (prev 0/16B2D50, xid 733, 2 blocks, 54 bytes of main data)".
std::string to_string(const DecodedRecord& record);

}  // namespace argon::pg
