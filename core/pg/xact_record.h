// Main data of transaction records: commit, abort, prepare (access/xact.h, twophase.c).
//
// Views into the record; nothing is allocated. Numbers in arrays are unaligned: read them by at().

#pragma once

#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/record_types.h"
#include "core/pg/wal_record.h"

namespace argon::pg {

// An unaligned array of fixed-size elements inside a record.
template <typename Element, size_t kSize>
class RecordArray {
 public:
  RecordArray() = default;
  explicit RecordArray(ByteView bytes) : bytes_(bytes) {}
  size_t size() const { return bytes_.size() / kSize; }
  ByteView bytes() const { return bytes_; }
  Element at(size_t i) const {
    static_assert(sizeof(Element) == kSize && std::is_trivially_copyable_v<Element>);
    CHECK(i < size());
    Element element;
    std::memcpy(&element, bytes_.data() + i * kSize, kSize);
    return element;
  }

 private:
  ByteView bytes_;
};
using XidArray = RecordArray<Xid, 4>;
using RelArray = RecordArray<RelFileNode, 12>;

// Commit and abort, also of prepared transactions.
struct XactEnd {
  bool commit = false;
  bool prepared = false;  // COMMIT PREPARED or ROLLBACK PREPARED
  Xid xid = 0;            // the transaction's; of a prepared one not the record's xid
  int64_t time = 0;       // microseconds since 2000
  uint32_t xinfo = 0;
  XidArray subxacts;
  RelArray dropped;      // relations that cease to exist at this record, all forks
  std::string_view gid;  // of a prepared transaction
  uint64_t origin_lsn = 0;
  int64_t origin_time = 0;
};
// REQUIRES: record.is(Rmgr::Xact) and the type is one of the four. Code::Corrupt names the LSN.
Result<XactEnd> parse_xact_end(const DecodedRecord& record);
bool is_xact_end(const DecodedRecord& record);

struct XactPrepare {
  Xid xid = 0;
  Oid database = 0;
  std::string_view gid;
  XidArray subxacts;
};
// Of a PREPARE record's main data, which is the state file in pg_twophase without its CRC.
Result<XactPrepare> parse_prepare(ByteView state);

}  // namespace argon::pg
