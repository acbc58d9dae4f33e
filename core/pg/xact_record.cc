#include "core/pg/xact_record.h"

#include "core/base/codec.h"

namespace argon::pg {

namespace {

constexpr uint32_t kTwophaseMagic = 0x57F94534;
constexpr size_t kPrepareHeader = 72;  // sizeof(xl_xact_prepare), a multiple of 8
constexpr size_t kStatsItem = 12, kInvalidation = 16;

// The bytes of a counted array: i32 count, then count elements.
ByteView counted(Reader& in, size_t element) {
  auto count = in.le<uint32_t>();
  return in.bytes(size_t{count} * element);
}

}  // namespace

bool is_xact_end(const DecodedRecord& record) {
  if (!record.is(Rmgr::Xact)) return false;
  uint8_t type = record.info & xact::kTypeMask;
  return type == xact::kCommit || type == xact::kAbort || type == xact::kCommitPrepared ||
         type == xact::kAbortPrepared;
}

Result<XactEnd> parse_xact_end(const DecodedRecord& record) {
  uint8_t type = record.info & xact::kTypeMask;
  XactEnd end;
  end.commit = type == xact::kCommit || type == xact::kCommitPrepared;
  end.prepared = type == xact::kCommitPrepared || type == xact::kAbortPrepared;
  end.xid = record.xid;
  Reader in(record.main_data);
  end.time = in.le<int64_t>();
  if (record.info & xact::kHasInfo) end.xinfo = in.le<uint32_t>();
  if (end.xinfo & xact::kInfoDbinfo) in.skip(8);
  if (end.xinfo & xact::kInfoSubxacts) end.subxacts = XidArray(counted(in, 4));
  if (end.xinfo & xact::kInfoRelfilenodes) end.dropped = RelArray(counted(in, 12));
  if (end.xinfo & xact::kInfoDroppedStats) (void)counted(in, kStatsItem);
  if (end.xinfo & xact::kInfoInvals) (void)counted(in, kInvalidation);
  if (end.xinfo & xact::kInfoTwophase) {
    end.xid = in.le<Xid>();
    if (end.xinfo & xact::kInfoGid) end.gid = in.cstring();
  }
  if (end.xinfo & xact::kInfoOrigin) {
    end.origin_lsn = in.le<uint64_t>();
    end.origin_time = in.le<int64_t>();
  }
  if (in.failed())
    return Error(Code::Corrupt, "WAL record at " + to_string(record.start_lsn) + ": end of transaction " +
                                    std::to_string(record.xid) + " is too short");
  return end;
}

Result<XactPrepare> parse_prepare(ByteView state) {
  auto bad = [](const char* what) {
    return Error(Code::Corrupt, std::string("prepared transaction: ") + what);
  };
  if (state.size() < kPrepareHeader) return bad("too short");
  const uint8_t* at = state.data();
  if (load_le<uint32_t>(at) != kTwophaseMagic) return bad("wrong magic");
  XactPrepare prepare;
  prepare.xid = load_le<uint32_t>(at + 8);
  prepare.database = load_le<uint32_t>(at + 12);
  size_t subxacts = load_le<uint32_t>(at + 28);
  size_t gid_length = load_le<uint16_t>(at + 54);
  Reader in(state.subspan(kPrepareHeader));
  prepare.gid = as_text(in.bytes(gid_length));
  in.skip(align8(gid_length) - gid_length);
  prepare.subxacts = XidArray(in.bytes(subxacts * 4));
  if (in.failed()) return bad("its parts are longer than it");
  if (!prepare.gid.empty()) prepare.gid.remove_suffix(1);  // the terminating zero is counted
  return prepare;
}

}  // namespace argon::pg
