#include "core/pg/redo/nonblock.h"

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/pg/redo/page_ops.h"

namespace argon::pg::redo {
namespace {

using Effects = std::vector<Effect>;

Error malformed(const DecodedRecord& r) {
  return corrupt(to_string(r) + ": main data does not have the form of its type");
}

// ---- Heap: bits of the visibility map (visibilitymap_clear in heap_xlog_*) ----

void clear_vm(const DecodedBlock& heap, uint8_t flags, Effects& out) {
  BlockTag vm{{heap.rel, Fork::Vm}, heap.blkno / kHeapBlocksPerVmPage};
  out.push_back(BlockMutation{vm, ClearVisibilityMapFlags{heap.blkno, flags}});
}

// Clears if the flags byte at `at` has `bit`; block 0 must then be there.
Status clear_vm_if(const DecodedRecord& r, size_t at, uint8_t bit, uint8_t flags, Effects& out) {
  if (r.main_data.size() <= at) return malformed(r);
  if ((r.main_data[at] & bit) == 0) return {};
  const DecodedBlock* heap = r.block(0);
  if (heap == nullptr) return malformed(r);
  clear_vm(*heap, flags, out);
  return {};
}

Status heap_update(const DecodedRecord& r, Effects& out) {
  if (r.main_data.size() <= 7) return malformed(r);
  uint8_t flags = r.main_data[7];
  const DecodedBlock* to = r.block(0);
  const DecodedBlock* from = r.block(1);
  if (to == nullptr) return malformed(r);
  if (flags & 1) clear_vm(from != nullptr ? *from : *to, kVmBothBits, out);
  if (flags & 2) clear_vm(*to, kVmBothBits, out);
  return {};
}

Status heap(const DecodedRecord& r, Effects& out) {
  switch (r.type() & 0x70) {
    case 0x00:  // INSERT
      return clear_vm_if(r, 2, 1, kVmBothBits, out);
    case 0x10:  // DELETE
      return clear_vm_if(r, 7, 1, kVmBothBits, out);
    case 0x20:  // UPDATE
    case 0x40:  // HOT_UPDATE
      return heap_update(r, out);
    case 0x60:  // LOCK
      return clear_vm_if(r, 7, 1, kVmAllFrozen, out);
    default:
      return {};
  }
}

Status heap2(const DecodedRecord& r, Effects& out) {
  switch (r.type() & 0x70) {
    case 0x50:  // MULTI_INSERT
      return clear_vm_if(r, 0, 1, kVmBothBits, out);
    case 0x60:  // LOCK_UPDATED
      return clear_vm_if(r, 7, 1, kVmAllFrozen, out);
    default:
      return {};
  }
}

// ---- SLRUs ----

// Groups xid and subxids into runs on the same page and hands each run to `emit`.
template <typename Emit>
void by_page(Xid xid, ByteView subxids, uint32_t per_page, Emit emit) {
  std::vector<Xid> run{xid};
  for (size_t at = 0; at < subxids.size(); at += 4) {
    auto sub = load_le<uint32_t>(subxids.data() + at);
    if (sub / per_page != run.front() / per_page) {
      emit(std::move(run));
      run = {};
    }
    run.push_back(sub);
  }
  emit(std::move(run));
}

Status zero_page(const DecodedRecord& r, Slru slru, Effects& out) {
  if (r.main_data.size() < 4) return malformed(r);
  auto page = load_le<uint32_t>(r.main_data.data());
  if (slru == Slru::MultixactOffsets)
    out.push_back(SlruMutation{slru, page, ZeroOffsetsPage{static_cast<uint16_t>(page == 0 ? 1 : 0)}});
  else
    out.push_back(SlruMutation{slru, page, ZeroPage{}});
  return {};
}

Status clog(const DecodedRecord& r, Effects& out) {
  if (r.type() == 0x00) return zero_page(r, Slru::Clog, out);
  if (r.type() != 0x10) return {};
  Reader in(r.main_data);
  auto page = in.le<uint32_t>();
  auto oldest = in.le<uint32_t>();
  auto db = in.le<uint32_t>();
  if (in.failed()) return malformed(r);
  out.push_back(OldestXid{oldest, db});
  out.push_back(SlruTruncate{Slru::Clog, page, 0, 0});
  return {};
}

Status commit_ts(const DecodedRecord& r, Effects& out) {
  if (r.type() == 0x00) return zero_page(r, Slru::CommitTs, out);
  if (r.type() != 0x10) return {};
  Reader in(r.main_data);
  auto page = in.le<uint32_t>();
  auto oldest = in.le<uint32_t>();
  if (in.failed()) return malformed(r);
  out.push_back(OldestCommitTsXid{oldest});
  out.push_back(SlruTruncate{Slru::CommitTs, page, 0, 0});
  return {};
}

void add_members(uint32_t offset, std::vector<MultixactMember> members, Effects& out) {
  uint32_t page = offset / kMembersPerPage;
  out.push_back(SlruMutation{Slru::MultixactMembers, page, MultixactMembersSet{offset, std::move(members)}});
}

// RecordNewMultiXact, as of 15.15: the entry of the next multixact is set as well, being this one's end.
Status multixact_create(const DecodedRecord& r, Effects& out) {
  Reader in(r.main_data);
  auto multi = in.le<uint32_t>();
  auto offset = in.le<uint32_t>();
  auto count = in.le<int32_t>();
  if (in.failed() || count < 0 || in.remaining() / 8 < static_cast<uint32_t>(count)) return malformed(r);

  uint32_t page = multi / kOffsetsPerPage;
  out.push_back(SlruMutation{Slru::MultixactOffsets, page, MultixactOffsetSet{multi, offset, false}});
  MultiXactId next = multi + 1 == 0 ? 1 : multi + 1;
  uint32_t end = offset + static_cast<uint32_t>(count);
  uint32_t next_page = next / kOffsetsPerPage;
  out.push_back(SlruMutation{Slru::MultixactOffsets, next_page,
                             MultixactOffsetSet{next, end == 0 ? 1 : end, next_page != page}});

  Xid newest = r.xid;
  std::vector<MultixactMember> run;
  uint32_t run_start = offset;
  for (int32_t i = 0; i < count; i++) {
    uint32_t at = offset + static_cast<uint32_t>(i);
    if (!run.empty() && at / kMembersPerPage != run_start / kMembersPerPage) {
      add_members(run_start, std::move(run), out);
      run = {};
    }
    if (run.empty()) run_start = at;
    auto xid = in.le<uint32_t>();
    auto status = in.le<uint32_t>();
    if (status > 5) return malformed(r);
    run.push_back({xid, static_cast<uint8_t>(status)});
    if (static_cast<int32_t>(xid - newest) > 0) newest = xid;
  }
  if (!run.empty()) add_members(run_start, std::move(run), out);
  out.push_back(NextMultiPast{multi + 1, end});
  out.push_back(NextXidPast{newest});
  return {};
}

Status multixact(const DecodedRecord& r, Effects& out) {
  switch (r.type()) {
    case 0x00:
      return zero_page(r, Slru::MultixactOffsets, out);
    case 0x10:
      return zero_page(r, Slru::MultixactMembers, out);
    case 0x20:
      return multixact_create(r, out);
    case 0x30: {
      Reader in(r.main_data);
      auto db = in.le<uint32_t>();
      in.skip(4);  // the first offset page removed: the removal goes by what exists
      auto oldest = in.le<uint32_t>();
      auto first_member = in.le<uint32_t>();
      auto end_member = in.le<uint32_t>();
      if (in.failed()) return malformed(r);
      constexpr uint32_t kPerSegment = kMembersPerPage * kSlruPagesPerSegment;
      MultiXactId before = oldest <= 1 ? 0xFFFFFFFF : oldest - 1;
      out.push_back(OldestMulti{oldest, db});
      out.push_back(
          SlruTruncate{Slru::MultixactMembers, 0, first_member / kPerSegment, end_member / kPerSegment});
      out.push_back(SlruTruncate{Slru::MultixactOffsets, before / kOffsetsPerPage, 0, 0});
      return {};
    }
    default:
      return {};
  }
}

// ---- Transactions ----

constexpr uint32_t kHasDbInfo = 1u << 0;
constexpr uint32_t kHasSubxacts = 1u << 1;
constexpr uint32_t kHasRelfilenodes = 1u << 2;
constexpr uint32_t kHasInvals = 1u << 3;
constexpr uint32_t kHasTwophase = 1u << 4;
constexpr uint32_t kHasOrigin = 1u << 5;
constexpr uint32_t kHasGid = 1u << 7;
constexpr uint32_t kHasDroppedStats = 1u << 8;
constexpr size_t kInvalMessageBytes = 16;
constexpr size_t kStatsItemBytes = 12;
constexpr size_t kRelFileNodeBytes = 12;
constexpr size_t kTwoPhaseHeaderBytes = 72;

// A count and that many items of `size` bytes.
ByteView counted(Reader& in, size_t size) {
  auto count = in.le<int32_t>();
  if (count < 0) return in.bytes(SIZE_MAX);
  return in.bytes(static_cast<size_t>(count) * size);
}

void end_transaction(const DecodedRecord& r, const TransactionEnd& end, const RedoSettings& settings,
                     Effects& out) {
  by_page(end.xid, end.subxids, kXidsPerClogPage, [&](std::vector<Xid> xids) {
    uint32_t page = xids.front() / kXidsPerClogPage;
    if (end.committed)
      out.push_back(SlruMutation{Slru::Clog, page, ClogSetCommitted{std::move(xids), end.time}});
    else
      out.push_back(SlruMutation{Slru::Clog, page, ClogSetAborted{std::move(xids)}});
  });
  if (end.committed && settings.track_commit_timestamp) {
    int64_t time = end.has_origin ? end.origin_time : end.time;
    by_page(end.xid, end.subxids, kXidsPerCommitTsPage, [&](std::vector<Xid> xids) {
      uint32_t page = xids.front() / kXidsPerCommitTsPage;
      out.push_back(SlruMutation{Slru::CommitTs, page, CommitTsSet{std::move(xids), time, r.origin}});
    });
  }
  Xid newest = end.xid;
  for (size_t at = 0; at < end.subxids.size(); at += 4) {
    auto sub = load_le<uint32_t>(end.subxids.data() + at);
    if (static_cast<int32_t>(sub - newest) > 0) newest = sub;
  }
  if (newest != r.xid) out.push_back(NextXidPast{newest});
  for (size_t at = 0; at < end.dropped.size(); at += kRelFileNodeBytes) {
    const uint8_t* node = end.dropped.data() + at;
    out.push_back(
        RelationDrop{{load_le<uint32_t>(node), load_le<uint32_t>(node + 4), load_le<uint32_t>(node + 8)}});
  }
  if (end.prepared) out.push_back(TwoPhaseRemove{end.xid});
}

Status prepare(const DecodedRecord& r, Effects& out) {
  if (r.main_data.size() < kTwoPhaseHeaderBytes) return malformed(r);
  const uint8_t* header = r.main_data.data();
  auto xid = load_le<uint32_t>(header + 8);
  auto subxids = load_le<int32_t>(header + 28);
  auto gid_bytes = load_le<uint16_t>(header + 54);
  Reader in(r.main_data.subspan(kTwoPhaseHeaderBytes));
  in.skip(align8(gid_bytes));
  if (subxids < 0 || in.remaining() / 4 < static_cast<uint32_t>(subxids)) return malformed(r);
  Xid newest = xid;
  for (int32_t i = 0; i < subxids; i++) {
    auto sub = in.le<uint32_t>();
    if (static_cast<int32_t>(sub - newest) > 0) newest = sub;
  }
  out.push_back(NextXidPast{newest});
  out.push_back(TwoPhaseAdd{xid, r.main_data});
  return {};
}

Status xact(const DecodedRecord& r, const RedoSettings& settings, Effects& out) {
  switch (r.type() & 0x70) {
    case 0x00:
    case 0x20:
    case 0x30:
    case 0x40: {
      TRY_ASSIGN(TransactionEnd end, parse_transaction_end(r));
      end_transaction(r, end, settings, out);
      return {};
    }
    case 0x10:
      return prepare(r, out);
    default:
      return {};
  }
}

// ---- Relations, databases, tablespaces ----

RelFileNode read_node(Reader& in) {
  auto spc = in.le<uint32_t>();
  auto db = in.le<uint32_t>();
  return {spc, db, in.le<uint32_t>()};
}

void truncate_vm(const RelFileNode& rel, BlockNumber heap_blocks, Effects& out) {
  RelTag vm{rel, Fork::Vm};
  BlockNumber blocks = heap_blocks / kHeapBlocksPerVmPage;
  if (heap_blocks % kHeapBlocksPerVmPage != 0) {
    out.push_back(BlockMutation{{vm, blocks}, TruncateVisibilityMap{heap_blocks}});
    blocks++;
  }
  out.push_back(RelationTruncate{vm, blocks});
}

// fsm_logical_to_physical of a bottom-level page: its tree has three levels.
BlockNumber fsm_bottom_page(BlockNumber leaf) {
  BlockNumber pages = 0;
  for (int level = 0; level < 3; level++, leaf /= kFsmSlotsPerPage) pages += leaf + 1;
  return pages - 1;
}

void truncate_fsm(const RelFileNode& rel, BlockNumber heap_blocks, Effects& out) {
  RelTag fsm{rel, Fork::Fsm};
  BlockNumber blocks = fsm_bottom_page(heap_blocks / kFsmSlotsPerPage);
  auto slot = static_cast<uint16_t>(heap_blocks % kFsmSlotsPerPage);
  if (slot != 0) {
    out.push_back(BlockMutation{{fsm, blocks}, TruncateFreeSpaceMap{slot}});
    blocks++;
  }
  out.push_back(RelationTruncate{fsm, blocks});
}

// smgr_redo; the fork order is the one of smgrtruncate, with the maps prepared first.
Status smgr(const DecodedRecord& r, Effects& out) {
  Reader in(r.main_data);
  if (r.type() == 0x10) {
    RelFileNode rel = read_node(in);
    auto fork = in.le<uint32_t>();
    if (in.failed() || fork > kLastFork) return malformed(r);
    out.push_back(RelationCreate{{rel, static_cast<Fork>(fork)}});
  } else if (r.type() == 0x20) {
    auto blocks = in.le<uint32_t>();
    RelFileNode rel = read_node(in);
    auto flags = in.le<uint32_t>();
    if (in.failed()) return malformed(r);
    if (flags & 1) out.push_back(RelationTruncate{{rel, Fork::Main}, blocks});
    if (flags & 4) truncate_fsm(rel, blocks, out);
    if (flags & 2) truncate_vm(rel, blocks, out);
  }
  return {};
}

Status dbase(const DecodedRecord& r, Effects& out) {
  Reader in(r.main_data);
  auto db = in.le<uint32_t>();
  if (r.type() == 0x00) {
    auto tablespace = in.le<uint32_t>();
    auto source_db = in.le<uint32_t>();
    auto source_tablespace = in.le<uint32_t>();
    if (in.failed()) return malformed(r);
    out.push_back(DatabaseCopy{db, tablespace, source_db, source_tablespace});
  } else if (r.type() == 0x10) {
    auto tablespace = in.le<uint32_t>();
    if (in.failed()) return malformed(r);
    out.push_back(DatabaseCreate{db, tablespace});
  } else if (r.type() == 0x20) {
    ByteView tablespaces = counted(in, 4);
    if (in.failed()) return malformed(r);
    for (size_t at = 0; at < tablespaces.size(); at += 4)
      out.push_back(DatabaseDrop{db, load_le<uint32_t>(tablespaces.data() + at)});
  }
  return {};
}

Status tablespace(const DecodedRecord& r, Effects& out) {
  Reader in(r.main_data);
  auto id = in.le<uint32_t>();
  if (r.type() == 0x00) {
    std::string_view path = in.cstring();
    if (in.failed()) return malformed(r);
    out.push_back(TablespaceCreate{id, path});
  } else if (r.type() == 0x10) {
    if (in.failed()) return malformed(r);
    out.push_back(TablespaceDrop{id});
  }
  return {};
}

Status relmap(const DecodedRecord& r, Effects& out) {
  if (r.type() != 0x00) return {};
  Reader in(r.main_data);
  auto db = in.le<uint32_t>();
  auto spc = in.le<uint32_t>();
  ByteView content = counted(in, 1);
  if (in.failed() || content.size() != 512) return malformed(r);
  out.push_back(RelationMapUpdate{db, spc, content});
  return {};
}

Status standby(const DecodedRecord& r, Effects& out) {
  if (r.type() != 0x10) return {};
  Reader in(r.main_data);
  auto count = in.le<int32_t>();
  auto subcount = in.le<int32_t>();
  auto overflow = in.le<uint32_t>();
  auto next = in.le<uint32_t>();
  auto oldest = in.le<uint32_t>();
  auto latest = in.le<uint32_t>();
  if (count < 0 || subcount < 0) return malformed(r);
  ByteView xids = in.bytes((static_cast<size_t>(count) + static_cast<size_t>(subcount)) * 4);
  if (in.failed()) return malformed(r);
  out.push_back(RunningXacts{next, oldest, latest, static_cast<uint32_t>(count),
                             static_cast<uint32_t>(subcount), (overflow & 0xFF) != 0, xids});
  return {};
}

Result<ParameterChange> parameter_change(const DecodedRecord& r) {
  Reader in(r.main_data);
  ParameterChange change{};
  change.max_connections = in.le<int32_t>();
  change.max_worker_processes = in.le<int32_t>();
  change.max_wal_senders = in.le<int32_t>();
  change.max_prepared_xacts = in.le<int32_t>();
  change.max_locks_per_xact = in.le<int32_t>();
  change.wal_level = in.le<int32_t>();
  change.wal_log_hints = in.u8() != 0;
  change.track_commit_timestamp = in.u8() != 0;
  if (in.failed()) return malformed(r);
  return change;
}

Status xlog(const DecodedRecord& r, Effects& out) {
  Reader in(r.main_data);
  if (r.type() == 0x30) {
    auto oid = in.le<uint32_t>();
    if (in.failed()) return malformed(r);
    out.push_back(NextOid{oid});
  } else if (r.type() == 0x60) {
    TRY_ASSIGN(ParameterChange change, parameter_change(r));
    out.push_back(change);
  } else if (r.type() == 0x80) {
    uint8_t on = in.u8();
    if (in.failed()) return malformed(r);
    out.push_back(FullPageWritesChange{on != 0});
  }
  return {};
}

bool pages_precede(uint32_t page1, uint32_t page2, uint32_t per_page, uint32_t first_id) {
  auto precedes = [](uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; };
  uint32_t id1 = page1 * per_page + first_id + 1;
  uint32_t id2 = page2 * per_page + first_id + 1;
  return precedes(id1, id2) && precedes(id1, id2 + per_page - 1);
}

}  // namespace

// SlruMayDeleteSegment with CLOGPagePrecedes, CommitTsPagePrecedes, MultiXactOffsetPagePrecedes;
// for members the loop of PerformMembersTruncation.
bool slru_truncates(const SlruTruncate& t, uint32_t segment) {
  if (t.slru == Slru::MultixactMembers) {
    if (t.first_segment <= t.end_segment) return segment >= t.first_segment && segment < t.end_segment;
    return segment >= t.first_segment || segment < t.end_segment;
  }
  uint32_t per_page = t.slru == Slru::Clog       ? kXidsPerClogPage
                      : t.slru == Slru::CommitTs ? kXidsPerCommitTsPage
                                                 : kOffsetsPerPage;
  uint32_t first_id = t.slru == Slru::MultixactOffsets ? 1 : kFirstNormalXid;
  uint32_t first = segment * kSlruPagesPerSegment;
  return pages_precede(first, t.cutoff_page, per_page, first_id) &&
         pages_precede(first + kSlruPagesPerSegment - 1, t.cutoff_page, per_page, first_id);
}

Bytes two_phase_file(ByteView state) {
  Bytes file = to_bytes(state);
  Writer(file).le(crc32c(state));
  return file;
}

Result<TransactionEnd> parse_transaction_end(const DecodedRecord& r) {
  uint8_t type = r.type() & 0x70;
  if (!r.is(Rmgr::Xact) || (type != 0x00 && type != 0x20 && type != 0x30 && type != 0x40))
    return Error(Code::Invalid, to_string(r) + " does not end a transaction");
  TransactionEnd end{};
  end.xid = r.xid;
  end.committed = type == 0x00 || type == 0x30;
  end.prepared = type == 0x30 || type == 0x40;
  Reader in(r.main_data);
  end.time = in.le<int64_t>();
  uint32_t has = r.info & 0x80 ? in.le<uint32_t>() : 0;
  if (has & kHasDbInfo) in.skip(8);
  if (has & kHasSubxacts) end.subxids = counted(in, 4);
  if (has & kHasRelfilenodes) end.dropped = counted(in, kRelFileNodeBytes);
  if (has & kHasDroppedStats) counted(in, kStatsItemBytes);
  if ((has & kHasInvals) && end.committed) counted(in, kInvalMessageBytes);
  if (has & kHasTwophase) {
    auto xid = in.le<uint32_t>();
    if (end.prepared) end.xid = xid;
    if (has & kHasGid) in.cstring();
  }
  if (has & kHasOrigin) {
    end.has_origin = true;
    end.origin_lsn = in.le<uint64_t>();
    end.origin_time = in.le<int64_t>();
  }
  if (in.failed() || (end.prepared && !(has & kHasTwophase))) return malformed(r);
  return end;
}

RedoSettings settings_after(const DecodedRecord& r, const RedoSettings& before) {
  if (!r.is(Rmgr::Xlog, 0x60)) return before;
  auto change = parameter_change(r);
  if (!change.ok()) return before;
  RedoSettings after = before;
  after.wal_log_hints = change->wal_log_hints;
  after.track_commit_timestamp = change->track_commit_timestamp;
  return after;
}

Status nonblock_effects(const DecodedRecord& r, const RedoSettings& settings, Effects& out) {
  switch (static_cast<Rmgr>(r.rmid)) {
    case Rmgr::Heap:
      return heap(r, out);
    case Rmgr::Heap2:
      return heap2(r, out);
    case Rmgr::Xact:
      return xact(r, settings, out);
    case Rmgr::Xlog:
      return xlog(r, out);
    case Rmgr::Smgr:
      return smgr(r, out);
    case Rmgr::Clog:
      return clog(r, out);
    case Rmgr::CommitTs:
      return commit_ts(r, out);
    case Rmgr::MultiXact:
      return multixact(r, out);
    case Rmgr::Dbase:
      return dbase(r, out);
    case Rmgr::Tablespace:
      return tablespace(r, out);
    case Rmgr::RelMap:
      return relmap(r, out);
    case Rmgr::Standby:
      return standby(r, out);
    default:
      return {};
  }
}

}  // namespace argon::pg::redo
