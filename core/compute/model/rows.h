// Rows of a table that a model compute keeps in heap pages, and what a reader needs to see them as of an LSN:
// which transactions had committed by then. Both come from pages, as a server would read them.
//
// A row is a heap tuple of two columns of eight bytes, its number and its value, and a filling. It is visible
// at an LSN where its xmin had committed by then, and no xmax that had committed ended it: transactions are
// flat, nobody freezes, and no hint bits are set. Sources: HeapTupleSatisfiesMVCC (heapam_visibility.c),
// TransactionIdGetStatus (clog.c).

#pragma once

#include <cstdint>
#include <vector>

#include "core/compute/page_client.h"
#include "core/pg/rel.h"

namespace argon::compute {

// The table of rows of a timeline; no other relation of a model compute has its id.
pg::RelTag rows_relation();

struct Row {
  uint64_t key = 0;
  uint64_t value = 0;
  friend bool operator==(const Row&, const Row&) = default;
};

// A tuple as inserted by `xid`; `filling` follows the two columns.
Bytes row_tuple(pg::Xid xid, const Row& row, ByteView filling);

// The bytes of the first segment of pg_xact, as of some LSN.
class CommitLog {
 public:
  explicit CommitLog(Bytes segment) : segment_(std::move(segment)) {}
  // Corrupt: the segment does not reach there.
  Result<bool> committed(pg::Xid xid) const;

 private:
  Bytes segment_;
};

struct PlacedRow {
  Row row;
  uint16_t line = 0;
};
// The visible rows of a page of that table, in order of lines. Corrupt: a tuple is none of this table, or of
// a transaction that the log does not reach.
Result<std::vector<PlacedRow>> visible_rows(ByteView page, const CommitLog& log);

// All rows of a timeline that are visible at `lsn`, in the order of pages and lines; a key may come twice,
// which is for the caller to judge. None where the table does not exist. Waits until the pageserver has
// received WAL up to `lsn`, as long as the task's deadline allows. Errors: as of PageClient and visible_rows.
Result<std::vector<Row>> read_rows(Task& task, PageClient& client, Lsn lsn);

}  // namespace argon::compute
