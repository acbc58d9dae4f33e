#include "core/safekeeper/tail_check.h"

#include <algorithm>

#include "core/base/checksum.h"

namespace argon::safekeeper {

TailCheck::TailCheck(const TimelineControl& control)
    : end_(control.closed_at),
      at_(last_segment_start(end_)),
      wal_(std::max(at_, control.acceptor.local_start)),
      decoder_(wal_, pg::WalIdentity{control.acceptor.server.system_id}) {}

Status TailCheck::add(ByteView bytes) {
  crc_ = crc32c_extend(crc_, bytes);
  uint64_t before = at_ < wal_ ? std::min<uint64_t>(wal_ - at_, bytes.size()) : 0;
  at_ += bytes.size();
  bytes = bytes.subspan(before);
  if (bytes.empty()) return {};
  decoder_.feed(bytes);
  pg::WalRecord record;
  for (;;) {
    TRY_ASSIGN(bool found, decoder_.next(record));
    if (!found) return {};
  }
}

Status TailCheck::finish() const {
  if (at_ == end_ && (decoder_.last_end() == end_ || decoder_.rest_end() == end_)) return {};
  return Error(Code::Corrupt, "its WAL ends at " + to_string(decoder_.last_end()) + ", but ended at " +
                                  to_string(end_) + " when it was closed");
}

}  // namespace argon::safekeeper
