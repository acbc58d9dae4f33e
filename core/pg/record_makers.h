// The records a small compute writes, as PostgreSQL 15 writes them (wal_level = replica).
//
// For the model compute of simulated clusters and for tests. Each returns a RecordBuilder to append
// with WalWriter. They describe a change; the caller makes it on its own pages. Tuples are given as on
// the page: header of 23 bytes (HeapTupleHeaderData), null bitmap and padding up to t_hoff, data.
// Sources: heapam.c (log_heap_update and its like), storage.c, xact.c, standby.c, clog.c, varsup.c.

#pragma once

#include <span>
#include <vector>

#include "core/pg/checkpoint.h"
#include "core/pg/control_file.h"
#include "core/pg/wal_builder.h"

namespace argon::pg {

inline constexpr size_t kTupleHeader = 23;  // SizeofHeapTupleHeader: t_bits begin here

// A line of a heap page.
struct HeapPlace {
  RelTag rel;
  BlockNumber block = 0;
  uint16_t line = 0;  // from 1
};

// Flags of heap records (XLH_…): the page's visibility-map bits are cleared.
inline constexpr uint8_t kAllVisibleCleared = 0x01;     // of insert, delete; of the old page of an update
inline constexpr uint8_t kNewAllVisibleCleared = 0x02;  // of the new page of an update

// `init`: the tuple is the first and only one on its page. REQUIRES: tuple.size() >= kTupleHeader.
RecordBuilder heap_insert(Xid xid, const HeapPlace& at, ByteView tuple, bool init, uint8_t flags = 0);
// infobits_set: XLHL_… bits of the deleted tuple's xmax; 0 for a plain delete by `xid`.
RecordBuilder heap_delete(Xid xid, const HeapPlace& at, uint8_t flags = 0, uint8_t infobits_set = 0);
// A new version of the tuple at `old`. Hot if on the same page and `hot`. No prefix or suffix is shared.
RecordBuilder heap_update(Xid xid, const HeapPlace& old, const HeapPlace& now, ByteView tuple, bool hot,
                          bool init, uint8_t flags = 0);
RecordBuilder heap_lock(Xid xid, const HeapPlace& at, uint8_t infobits_set, uint8_t flags = 0);
// Sets bits (1 all-visible, 2 all-frozen) of heap_block in the visibility map.
RecordBuilder heap_visible(const RelTag& heap, BlockNumber heap_block, Xid cutoff, uint8_t bits);

RecordBuilder smgr_create(Xid xid, const RelTag& rel);
// Cuts the main fork to `blocks`, and the other forks accordingly.
RecordBuilder smgr_truncate(Xid xid, const RelFileNode& rel, BlockNumber blocks);

// Times are microseconds since 2000 (WallTime::to_postgres). `dropped` are all forks of relations.
RecordBuilder xact_commit(Xid xid, int64_t time, std::span<const Xid> subxacts = {},
                          std::span<const RelFileNode> dropped = {});
RecordBuilder xact_abort(Xid xid, int64_t time, std::span<const Xid> subxacts = {},
                         std::span<const RelFileNode> dropped = {});

// `running`: the ids of transactions in progress, ascending.
RecordBuilder running_xacts(Xid next_xid, std::span<const Xid> running);
RecordBuilder clog_zero_page(uint32_t page);
RecordBuilder next_oid(Oid oid);
RecordBuilder checkpoint_online(const Checkpoint& checkpoint);
RecordBuilder checkpoint_shutdown(const Checkpoint& checkpoint);
RecordBuilder parameter_change(const ControlSettings& settings);
// Full images of consecutive blocks, at most 32. REQUIRES: each page kBlockSize long.
RecordBuilder full_page_images(const RelTag& rel, BlockNumber first, std::span<const ByteView> pages,
                               bool standard = true);

}  // namespace argon::pg
