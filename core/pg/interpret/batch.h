// Batches of interpreted records, as safekeepers send them: the body, which is built, read and cut to a
// shard, and the payload it travels in.
//
//   body:    u64 start · u64 end · u64 start of the last record (0: none); then records, ascending, all of
//            those that end in (start, end] but what a shard need not know:
//   record:  u64 end · u32 length (start = end - length) · u32 xid · u8 1: has effects · u16 number of items
//   ·
//            u32 n, record's n bytes · items
//   item:    u32 spc, db, rel · u8 fork · u32 block · u8 kind · Image: a page · Mutation: u16 n, n bytes
//   payload: u32 magic "ARIW" · u16 version 1 · u8 0: body, 1: body by zstd · u8 0 · u32 length of the body ·
//            u32 CRC-32C of the body · body
//
// All integers little endian. A payload is at most kBatchPayloadMax bytes long, compressed or not.
//
// What a shard need not know is left out where it is sure not to change anything: blocks of others on which a
// batch has an item already, or one further back in the fork, and records without anything else. An effect
// may change that (it may shrink a fork), so it begins anew after each. A record that is left out at the end
// shows in the batch's end.

#pragma once

#include "core/base/codec.h"
#include "core/pg/interpret/interpreted_record.h"
#include "core/pg/interpret/shard.h"

namespace argon::pg {

inline constexpr size_t kBatchPayloadMax = 60u << 20;
inline constexpr size_t kBatchHeader = 24;
inline constexpr size_t kBatchPayloadHeader = 16;

struct BatchHeader {
  Lsn start;  // what a reader has before
  Lsn end;    // what it has afterwards; end of the last record
  Lsn last_record;
  friend bool operator==(const BatchHeader&, const BatchHeader&) = default;
};

class BatchWriter {
 public:
  explicit BatchWriter(Lsn start);
  void add(const InterpretedRecord& record);
  // A record of which nothing is said but that it is there.
  void pass(Lsn record_start, Lsn record_end);
  size_t size() const { return body_.size(); }
  bool has_records() const { return header_.end > header_.start; }
  Lsn end() const { return header_.end; }
  Bytes finish();

 private:
  BatchHeader header_;
  Bytes body_;
};

class BatchReader {
 public:
  // Borrows the body. Corrupt.
  static Result<BatchReader> open(ByteView body);
  const BatchHeader& header() const { return header_; }
  // False at the end. `record` borrows from the body. Corrupt says what is wrong.
  Result<bool> next(InterpretedRecord& record);

 private:
  BatchReader(const BatchHeader& header, ByteView records)
      : header_(header), in_(records), position_(header.start) {}
  Status item(InterpretedItem& item);

  BatchHeader header_;
  Reader in_;
  Lsn position_;
  Lsn last_record_;
};

// What the shard needs of it: a body.
Result<Bytes> batch_for(ByteView body, const ShardIdentity& shard);

// REQUIRES: body.size() <= kBatchPayloadMax - kBatchPayloadHeader.
Bytes seal_batch(ByteView body, bool zstd);
// The body, in `payload` or in `buffer`. Corrupt, Unsupported.
Result<ByteView> open_batch(ByteView payload, Bytes& buffer);

}  // namespace argon::pg
