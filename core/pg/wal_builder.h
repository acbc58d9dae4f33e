// Making WAL: records as PostgreSQL 15 writes them, laid into pages and segments.
//
//   RecordBuilder insert(Rmgr::Heap, heap::kInsert, xid);
//   insert.main(header).block(0, tag).data(tuple);
//   WalWriter writer(identity, end_of_wal, last_record);
//   PlacedRecord placed = writer.append(insert);
//   send(writer.begin(), writer.take());
//
// What is built decodes to the same (wal_stream.h), and pg_waldump reads it.
// Source: XLogRecordAssemble in xloginsert.c, CopyXLogRecordToWAL in xlog.c.

#pragma once

#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/pg/constants.h"
#include "core/pg/rel.h"
#include "core/pg/wal_page.h"

namespace argon::pg {

enum class ImageCompression : uint8_t { None, Lz4, Zstd };

class RecordBuilder {
 public:
  // info: record type, and the low bits as wanted (kInfoSpecialRelUpdate).
  RecordBuilder(Rmgr rmgr, uint8_t info, Xid xid = kInvalidXid);

  // Appends to the main data.
  RecordBuilder& main(ByteView bytes);
  // A block reference; ids ascend. data() and image() that follow belong to it.
  RecordBuilder& block(uint8_t id, const RelTag& rel, BlockNumber blkno, bool will_init = false);
  // Appends to the block's data, at most 65535 bytes in all.
  RecordBuilder& data(ByteView bytes);
  // A full-page image. The bytes between pd_lower and pd_upper are left out if `standard`, they are
  // taken to be zero then. Compressed only where that is shorter. REQUIRES: page.size() == kBlockSize.
  RecordBuilder& image(ByteView page, bool apply = true, bool standard = true,
                       ImageCompression compression = ImageCompression::None);
  RecordBuilder& origin(uint16_t id);
  RecordBuilder& toplevel_xid(Xid xid);

  // The whole record with its CRC. `prev`: the start of the record before it.
  Bytes build(Lsn prev) const;

 private:
  struct Image {
    Bytes bytes;
    uint16_t hole_offset = 0;
    uint16_t hole_length = 0;
    uint8_t info = 0;
  };
  struct Block {
    uint8_t id;
    RelTag rel;
    BlockNumber blkno;
    bool will_init;
    bool has_image = false;
    Image image;
    Bytes data;
  };
  static void append_block_header(Bytes& out, const Block& block, bool same_rel);

  uint8_t rmid_;
  uint8_t info_;
  Xid xid_;
  uint16_t origin_ = 0;
  Xid toplevel_xid_ = kInvalidXid;
  std::vector<Block> blocks_;
  Bytes main_;
};

struct PlacedRecord {
  Lsn start;
  Lsn end;  // the page LSN after redo
};

class WalWriter {
 public:
  // Goes on at `position`, the aligned end of the record before, or a position where a record may
  // start; at a page boundary the bytes begin with the page header. `previous`: the start of the
  // record before, 0 if there is none.
  WalWriter(WalIdentity identity, Lsn position, Lsn previous);

  PlacedRecord append(const RecordBuilder& record);
  // A record that was built with build(previous()).
  PlacedRecord append_whole(ByteView record);
  // A switch record, and zeros to the end of the segment.
  PlacedRecord append_switch();
  // Zeros up to the end of the segment, as a new segment file has them. The writer ends here.
  void fill_segment();

  Lsn position() const { return position_; }  // where the next record's bytes, or its page header, go
  Lsn previous() const { return previous_; }  // start of the last record
  Lsn next_start() const { return record_start_at(position_); }

  // The bytes from begin() to position() since the last take().
  Lsn begin() const { return position_ - out_.size(); }
  const Bytes& bytes() const { return out_; }
  Bytes take();

 private:
  void put(ByteView bytes);
  void header(uint16_t info, uint32_t rem_len);

  WalIdentity identity_;
  Lsn position_;
  Lsn previous_;
  Bytes out_;
};

}  // namespace argon::pg
