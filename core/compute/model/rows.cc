#include "core/compute/model/rows.h"

#include "core/base/codec.h"
#include "core/compute/model/model_pages.h"
#include "core/pg/page.h"
#include "core/pg/record_makers.h"

namespace argon::compute {

namespace {

constexpr pg::Oid kRowsRelation = 19'999;
constexpr size_t kDataAt = 24;  // t_hoff: the header, rounded up
constexpr size_t kRowSize = 16;
constexpr unsigned kCommitted = 1;  // TRANSACTION_STATUS_COMMITTED

}  // namespace

pg::RelTag rows_relation() {
  return {{pg::kDefaultTablespace, pg::kPostgresDb, kRowsRelation}, pg::Fork::Main};
}

Bytes row_tuple(pg::Xid xid, const Row& row, ByteView filling) {
  Bytes tuple;
  Writer w(tuple);
  w.le(xid).le<uint32_t>(0).le<uint32_t>(0);                          // xmin, xmax, command id
  w.zeros(6);                                                         // ctid: redo sets it
  w.le<uint16_t>(3).le<uint16_t>(0x0800 | 0x0002).u8(kDataAt).u8(0);  // xmax invalid, variable width
  w.le(row.key).le(row.value);
  append(tuple, filling);
  return tuple;
}

Result<bool> CommitLog::committed(pg::Xid xid) const {
  if (xid / 4 >= segment_.size())
    return Error(Code::Corrupt, "pg_xact of " + std::to_string(segment_.size()) +
                                    " bytes does not reach transaction " + std::to_string(xid));
  return (segment_[xid / 4] >> (2 * (xid % 4)) & 3u) == kCommitted;
}

Result<std::vector<PlacedRow>> visible_rows(ByteView page, const CommitLog& log) {
  std::vector<PlacedRow> rows;
  for (uint16_t line = 1; line <= pg::line_count(page); line++) {
    ByteView tuple = pg::item(page, line);
    if (pg::line_pointer(page, line).state != pg::LineState::Normal) continue;
    if (tuple.size() < kDataAt + kRowSize || tuple[pg::kTupleHeader - 1] != kDataAt)
      return Error(Code::Corrupt, "line " + std::to_string(line) + " is no row");
    auto xmin = load_le<pg::Xid>(tuple.data());
    auto xmax = load_le<pg::Xid>(tuple.data() + 4);
    TRY_ASSIGN(bool visible, log.committed(xmin));
    if (visible && xmax != pg::kInvalidXid) {
      TRY_ASSIGN(bool ended, log.committed(xmax));
      visible = !ended;
    }
    if (!visible) continue;
    Row row{load_le<uint64_t>(tuple.data() + kDataAt), load_le<uint64_t>(tuple.data() + kDataAt + 8)};
    rows.push_back({row, line});
  }
  return rows;
}

Result<std::vector<Row>> read_rows(Task& task, PageClient& client, Lsn lsn) {
  ReadLsn at{lsn, lsn};
  wire::PageRel rel = to_wire(rows_relation());
  std::vector<Row> all;
  TRY_ASSIGN(bool there, client.exists(task, rel, at));
  if (!there) return all;
  TRY_ASSIGN(Bytes segment, client.slru_segment(task, wire::SlruKind::Clog, 0, at));
  CommitLog log(std::move(segment));
  TRY_ASSIGN(uint32_t blocks, client.blocks(task, rel, at));
  for (uint32_t block = 0; block < blocks; block++) {
    TRY_ASSIGN(Bytes page, client.page(task, rel, block, at));
    auto rows = visible_rows(page, log);
    if (!rows.ok())
      return rows.error().with("page " + to_string(pg::BlockTag{rows_relation(), block}) + " at " +
                               to_string(lsn));
    for (const PlacedRow& placed : *rows) all.push_back(placed.row);
  }
  return all;
}

}  // namespace argon::compute
