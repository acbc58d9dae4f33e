#include "core/pg/record_makers.h"

#include "core/base/check.h"
#include "core/base/codec.h"
#include "core/pg/record_types.h"

namespace argon::pg {

namespace {

constexpr BlockNumber kHeapBlocksPerVmPage = 32672;
constexpr uint8_t kVmBits = 0x03;

// Numbers, packed.
template <typename... Numbers>
Bytes packed(Numbers... numbers) {
  Bytes out;
  Writer w(out);
  (w.le(numbers), ...);
  return out;
}

// xl_heap_header, and what of the tuple follows its fixed header.
Bytes logged_tuple(ByteView tuple) {
  CHECK(tuple.size() >= kTupleHeader);
  Bytes out;
  Writer(out).bytes(tuple.subspan(18, 5)).bytes(tuple.subspan(kTupleHeader));  // infomask2, infomask, hoff
  return out;
}

Bytes node_bytes(const RelFileNode& node) {
  return packed(node.spc, node.db, node.rel);
}

RecordBuilder xact_end(uint8_t type, Xid xid, int64_t time, std::span<const Xid> subxacts,
                       std::span<const RelFileNode> dropped) {
  uint32_t xinfo =
      (subxacts.empty() ? 0 : xact::kInfoSubxacts) | (dropped.empty() ? 0 : xact::kInfoRelfilenodes);
  auto info = static_cast<uint8_t>(type | (xinfo != 0 ? xact::kHasInfo : 0));
  if (!dropped.empty()) info |= kInfoSpecialRelUpdate;
  RecordBuilder record(Rmgr::Xact, info, xid);
  record.main(packed(time));
  if (xinfo != 0) record.main(packed(xinfo));
  if (!subxacts.empty()) {
    record.main(packed(static_cast<uint32_t>(subxacts.size())));
    for (Xid sub : subxacts) record.main(packed(sub));
  }
  if (!dropped.empty()) {
    record.main(packed(static_cast<uint32_t>(dropped.size())));
    for (const RelFileNode& node : dropped) record.main(node_bytes(node));
  }
  return record;
}

RecordBuilder checkpoint_record(uint8_t type, const Checkpoint& checkpoint) {
  Bytes body;
  encode_checkpoint(body, checkpoint);
  return RecordBuilder(Rmgr::Xlog, type).main(body);
}

}  // namespace

RecordBuilder heap_insert(Xid xid, const HeapPlace& at, ByteView tuple, bool init, uint8_t flags) {
  auto info = static_cast<uint8_t>(heap::kInsert | (init ? heap::kInitPage : 0));
  RecordBuilder record(Rmgr::Heap, info, xid);
  record.main(packed(at.line, flags));
  record.block(0, at.rel, at.block, init).data(logged_tuple(tuple));
  return record;
}

RecordBuilder heap_delete(Xid xid, const HeapPlace& at, uint8_t flags, uint8_t infobits_set) {
  RecordBuilder record(Rmgr::Heap, heap::kDelete, xid);
  record.main(packed(xid, at.line, infobits_set, flags)).block(0, at.rel, at.block);
  return record;
}

RecordBuilder heap_update(Xid xid, const HeapPlace& old, const HeapPlace& now, ByteView tuple, bool hot,
                          bool init, uint8_t flags) {
  bool same_page = old.block == now.block && old.rel == now.rel;
  CHECK(!hot || (same_page && !init));
  auto info = static_cast<uint8_t>((hot ? heap::kHotUpdate : heap::kUpdate) | (init ? heap::kInitPage : 0));
  RecordBuilder record(Rmgr::Heap, info, xid);
  record.main(packed(xid, old.line, uint8_t{0}, flags, Xid{0}, now.line));
  record.block(0, now.rel, now.block, init).data(logged_tuple(tuple));
  if (!same_page) record.block(1, old.rel, old.block);
  return record;
}

RecordBuilder heap_lock(Xid xid, const HeapPlace& at, uint8_t infobits_set, uint8_t flags) {
  RecordBuilder record(Rmgr::Heap, heap::kLock, xid);
  record.main(packed(xid, at.line, infobits_set, flags)).block(0, at.rel, at.block);
  return record;
}

RecordBuilder heap_visible(const RelTag& heap, BlockNumber heap_block, Xid cutoff, uint8_t bits) {
  CHECK(bits != 0 && (bits & ~kVmBits) == 0);
  RecordBuilder record(Rmgr::Heap2, heap2::kVisible);
  record.main(packed(cutoff, bits));
  record.block(0, {heap.node, Fork::Vm}, heap_block / kHeapBlocksPerVmPage).block(1, heap, heap_block);
  return record;
}

RecordBuilder smgr_create(Xid xid, const RelTag& rel) {
  RecordBuilder record(Rmgr::Smgr, smgr::kCreate | kInfoSpecialRelUpdate, xid);
  record.main(node_bytes(rel.node)).main(packed(static_cast<uint32_t>(rel.fork)));
  return record;
}

RecordBuilder smgr_truncate(Xid xid, const RelFileNode& rel, BlockNumber blocks) {
  uint32_t flags = smgr::kTruncateHeap | smgr::kTruncateVm | smgr::kTruncateFsm;
  RecordBuilder record(Rmgr::Smgr, smgr::kTruncate | kInfoSpecialRelUpdate, xid);
  record.main(packed(blocks)).main(node_bytes(rel)).main(packed(flags));
  return record;
}

RecordBuilder xact_commit(Xid xid, int64_t time, std::span<const Xid> subxacts,
                          std::span<const RelFileNode> dropped) {
  return xact_end(xact::kCommit, xid, time, subxacts, dropped);
}

RecordBuilder xact_abort(Xid xid, int64_t time, std::span<const Xid> subxacts,
                         std::span<const RelFileNode> dropped) {
  return xact_end(xact::kAbort, xid, time, subxacts, dropped);
}

RecordBuilder running_xacts(Xid next_xid, std::span<const Xid> running) {
  Xid oldest = running.empty() ? next_xid : running.front();
  Xid latest_completed = next_xid > kFirstNormalXid ? next_xid - 1 : kFirstNormalXid;
  RecordBuilder record(Rmgr::Standby, standby::kRunningXacts);
  record.main(packed(static_cast<uint32_t>(running.size()), uint32_t{0}, uint32_t{0}, next_xid, oldest,
                     latest_completed));
  for (Xid xid : running) record.main(packed(xid));
  return record;
}

RecordBuilder clog_zero_page(uint32_t page) {
  return RecordBuilder(Rmgr::Clog, slru::kZeroPage).main(packed(page));
}

RecordBuilder next_oid(Oid oid) {
  return RecordBuilder(Rmgr::Xlog, xlog::kNextOid).main(packed(oid));
}

RecordBuilder checkpoint_online(const Checkpoint& checkpoint) {
  return checkpoint_record(xlog::kCheckpointOnline, checkpoint);
}

RecordBuilder checkpoint_shutdown(const Checkpoint& checkpoint) {
  return checkpoint_record(xlog::kCheckpointShutdown, checkpoint);
}

RecordBuilder parameter_change(const ControlSettings& s) {
  RecordBuilder record(Rmgr::Xlog, xlog::kParameterChange);
  record.main(packed(s.max_connections, s.max_worker_processes, s.max_wal_senders, s.max_prepared_xacts,
                     s.max_locks_per_xact, static_cast<uint32_t>(s.wal_level),
                     static_cast<uint8_t>(s.wal_log_hints), static_cast<uint8_t>(s.track_commit_timestamp),
                     uint16_t{0}));
  return record;
}

RecordBuilder full_page_images(const RelTag& rel, BlockNumber first, std::span<const ByteView> pages,
                               bool standard) {
  CHECK(pages.size() <= kMaxBlockId);
  RecordBuilder record(Rmgr::Xlog, xlog::kFpi);
  for (size_t i = 0; i < pages.size(); i++)
    record.block(static_cast<uint8_t>(i), rel, first + static_cast<BlockNumber>(i))
        .image(pages[i], true, standard);
  return record;
}

}  // namespace argon::pg
