#include "core/pg/fabricated_checkpoint.h"

#include <algorithm>

#include "core/pg/record_types.h"
#include "core/pg/wal_builder.h"

namespace argon::pg {

namespace {

// Zeros, and the header of the first page.
SegmentFile empty_segment(const WalIdentity& identity, Lsn start) {
  SegmentFile file{segment_file_name(segment_number(start), identity.tli), {}};
  Bytes header;
  append_page_header(header, {0, identity.tli, start, 0}, identity.system_id);
  file.put(0, header);
  return file;
}

}  // namespace

void SegmentFile::put(uint64_t offset, ByteView bytes) {
  CHECK(offset + bytes.size() <= kWalSegmentSize);
  while (!bytes.empty()) {
    Bytes& block = blocks[static_cast<uint32_t>(offset / kBlock)];
    block.resize(kBlock, 0);
    size_t n = std::min<size_t>(bytes.size(), kBlock - offset % kBlock);
    std::memcpy(block.data() + offset % kBlock, bytes.data(), n);
    bytes = bytes.subspan(n);
    offset += n;
  }
}

Bytes SegmentFile::bytes() const {
  Bytes out(kWalSegmentSize);
  for (const auto& [number, block] : blocks)
    std::memcpy(out.data() + size_t{number} * kBlock, block.data(), kBlock);
  return out;
}

std::vector<SegmentFile> FabricatedCheckpoint::segments(const WalIdentity& identity,
                                                        bool as_continued) const {
  std::vector<SegmentFile> files;
  files.push_back(empty_segment(identity, segment_start(stream_begin)));
  if (Lsn page = page_start(stream_begin); page != stream_begin) {
    uint64_t before = stream_begin - page - page_header_size(page);
    WalPageHeader has{kWalFirstIsContrecord, identity.tli, page, static_cast<uint32_t>(before)};
    if (!as_continued || before == 0) has = {0, identity.tli, page, 0};
    Bytes header;
    append_page_header(header, has, identity.system_id);
    files.back().put(segment_offset(page), header);
  }
  ByteView left = wal;
  Lsn at = stream_begin;
  while (!left.empty()) {
    if (segment_offset(at) == 0 && at != stream_begin) files.push_back(empty_segment(identity, at));
    size_t n = std::min<size_t>(left.size(), kWalSegmentSize - segment_offset(at));
    files.back().put(segment_offset(at), left.first(n));
    left = left.subspan(n);
    at += n;
  }
  return files;
}

Lsn checkpoint_record_end(Lsn record) {
  return record_end(record, static_cast<uint32_t>(kRecordHeader + 2 + kCheckpointSize));
}

Result<FabricatedCheckpoint> fabricate_checkpoint(const WalIdentity& identity, const Checkpoint& tracked,
                                                  Lsn s, Lsn previous) {
  if (s.value < kWalSegmentSize || (page_offset(s) != 0 && !is_record_position(s)))
    return Error(Code::Invalid, "no WAL record can start at " + to_string(s));
  if (previous >= s)
    return Error(Code::Invalid,
                 "the record before " + to_string(s) + " cannot start at " + to_string(previous));
  FabricatedCheckpoint made;
  made.stream_begin = s;
  made.checkpoint = tracked;
  made.checkpoint.redo = record_start_at(s);
  made.checkpoint.tli = made.checkpoint.prev_tli = identity.tli;
  made.checkpoint.oldest_active_xid = kInvalidXid;
  Bytes body;
  encode_checkpoint(body, made.checkpoint);
  WalWriter writer(identity, s, previous);
  PlacedRecord placed = writer.append(RecordBuilder(Rmgr::Xlog, xlog::kCheckpointShutdown).main(body));
  made.record = placed.start;
  made.end = placed.end;
  made.wal = writer.take();
  return made;
}

ControlFile control_at(const ControlFile& base, const FabricatedCheckpoint& start,
                       const ControlSettings& settings) {
  ControlFile control = base;
  control.state = ClusterState::ShutDown;
  control.time = start.checkpoint.time;
  control.checkpoint_lsn = start.record;
  control.checkpoint = start.checkpoint;
  control.min_recovery_point = Lsn();
  control.min_recovery_tli = 0;
  control.backup_start = Lsn();
  control.backup_end = Lsn();
  control.backup_end_required = false;
  control.settings = settings;
  return control;
}

ControlFile control_of_standby(const ControlFile& base, const Checkpoint& tracked, Lsn record, Lsn redo,
                               const ControlSettings& settings) {
  FabricatedCheckpoint start;
  start.record = record;
  start.checkpoint = tracked;
  start.checkpoint.redo = redo;
  start.checkpoint.tli = start.checkpoint.prev_tli = WalIdentity{}.tli;
  ControlFile control = control_at(base, start, settings);
  control.state = ClusterState::ShutDownInRecovery;
  control.min_recovery_point = redo;
  control.min_recovery_tli = start.checkpoint.tli;
  return control;
}

}  // namespace argon::pg
