#include "core/pg/checkpoint.h"

#include "core/base/codec.h"

namespace argon::pg {

void encode_checkpoint(Bytes& out, const Checkpoint& c) {
  Writer w(out);
  w.le(c.redo.value).le(c.tli).le(c.prev_tli).u8(c.full_page_writes).zeros(7);
  w.le(c.next_xid).le(c.next_oid).le(c.next_multi).le(c.next_multi_offset);
  w.le(c.oldest_xid).le(c.oldest_xid_db).le(c.oldest_multi).le(c.oldest_multi_db).zeros(4);
  w.le(c.time).le(c.oldest_commit_ts_xid).le(c.newest_commit_ts_xid).le(c.oldest_active_xid).zeros(4);
}

Result<Checkpoint> decode_checkpoint(ByteView bytes) {
  if (bytes.size() != kCheckpointSize)
    return Error(Code::Corrupt, "a checkpoint has " + std::to_string(bytes.size()) + " bytes, expected 88");
  Reader in(bytes);
  Checkpoint c;
  c.redo = Lsn(in.le<uint64_t>());
  c.tli = in.le<uint32_t>();
  c.prev_tli = in.le<uint32_t>();
  uint8_t full_page_writes = in.u8();
  c.full_page_writes = full_page_writes != 0;
  in.skip(7);
  c.next_xid = in.le<uint64_t>();
  c.next_oid = in.le<uint32_t>();
  c.next_multi = in.le<uint32_t>();
  c.next_multi_offset = in.le<uint32_t>();
  c.oldest_xid = in.le<uint32_t>();
  c.oldest_xid_db = in.le<uint32_t>();
  c.oldest_multi = in.le<uint32_t>();
  c.oldest_multi_db = in.le<uint32_t>();
  in.skip(4);
  c.time = in.le<int64_t>();
  c.oldest_commit_ts_xid = in.le<uint32_t>();
  c.newest_commit_ts_xid = in.le<uint32_t>();
  c.oldest_active_xid = in.le<uint32_t>();
  if (full_page_writes > 1) return Error(Code::Corrupt, "a checkpoint's full_page_writes is neither 0 nor 1");
  return c;
}

std::string to_string(const Checkpoint& c) {
  return "redo " + to_string(c.redo) + ", next xid " + std::to_string(c.next_xid >> 32) + ":" +
         std::to_string(static_cast<uint32_t>(c.next_xid)) + ", next oid " + std::to_string(c.next_oid) +
         ", next multixact " + std::to_string(c.next_multi) + " at " + std::to_string(c.next_multi_offset) +
         ", oldest xid " + std::to_string(c.oldest_xid) + ", oldest active xid " +
         std::to_string(c.oldest_active_xid);
}

}  // namespace argon::pg
