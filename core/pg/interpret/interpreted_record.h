// A WAL record as a pageserver stores it: which value goes to which block, and what it does beyond blocks.
//
// Interpreting is pure: it looks at the record alone. What depends on what a timeline holds (how long a fork
// is, what a database consists of) is the ingest's (core/pageserver/ingest.h), which takes interpreted
// records only, whether it makes them of WAL itself or a safekeeper did.
//
// Effects beyond blocks (sizes, SLRUs, counters, databases, ...) travel as the record that has them, which is
// their shortest form: the ingest calls nonblock_effects() and the checkpoint tracker for it. Of a record
// without such effects all there is to know is its xid, and its items in their order.

#pragma once

#include <vector>

#include "core/pg/redo/nonblock.h"
#include "core/pg/wal_record.h"

namespace argon::pg {

// Numbers are on the wire.
enum class ItemKind : uint8_t {
  Observed = 0,        // the block exists from here on; its value is another shard's
  Record = 1,          // the record itself
  RecordWillInit = 2,  // the same, which makes the page anew
  Image = 3,           // the page
  Mutation = 4,        // core/pg/redo/mutation.h's form; nothing where the block does not exist
};
inline constexpr uint8_t kLastItemKind = 4;

struct InterpretedItem {
  BlockTag block;
  ItemKind kind = ItemKind::Observed;
  ByteView content;  // of Image and Mutation; borrowed
};

struct InterpretedRecord {
  Lsn start;
  Lsn end;
  Xid xid = kInvalidXid;
  bool has_effects = false;
  ByteView record;  // whole; empty where no item is the record, and it has no effects
  std::vector<InterpretedItem> items;

  bool needs_record() const;
};

class Interpreter {
 public:
  // `out` borrows from the record and from this, until the next call. Corrupt names the record.
  Status interpret(const DecodedRecord& record, InterpretedRecord& out);

 private:
  Status add_block(const DecodedRecord& record, const DecodedBlock& block, InterpretedRecord& out);

  std::vector<Bytes> made_;
  std::vector<redo::Effect> effects_;
};

}  // namespace argon::pg
