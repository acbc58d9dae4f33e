#include "page_class.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/nbtree.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "storage/proc.h"

#define SEQUENCE_MAGIC 0x1717  // SEQ_MAGIC of commands/sequence.c

// A transaction id is widened by its distance from nextXid, which is less than 2^31 while it runs.
static uint64 widen(FullTransactionId next, TransactionId xid) {
  return U64FromFullTransactionId(next) - (uint32)(XidFromFullTransactionId(next) - xid);
}

// nextXid is read first: a transaction that got its id before has it in its PGPROC, since both are
// done under one hold of XidGenLock; one that gets it later has an id not below.
static uint64 oldest_of_backends(bool with_snapshots) {
  FullTransactionId next = ReadNextFullTransactionId();
  uint64 oldest = U64FromFullTransactionId(next);

  for (uint32 i = 0; i < ProcGlobal->allProcCount; i++) {
    volatile PGPROC* proc = &ProcGlobal->allProcs[i];
    TransactionId xid = proc->xid;
    TransactionId xmin = proc->xmin;

    if (TransactionIdIsNormal(xid) && TransactionIdPrecedes(xid, XidFromFullTransactionId(next)))
      oldest = Min(oldest, widen(next, xid));
    if (with_snapshots && TransactionIdIsNormal(xmin) &&
        TransactionIdPrecedes(xmin, XidFromFullTransactionId(next)))
      oldest = Min(oldest, widen(next, xmin));
  }
  return oldest;
}

uint64 oldest_running_xid(void) {
  return oldest_of_backends(false);
}

uint64 oldest_xid_or_snapshot(void) {
  return oldest_of_backends(true);
}

// Asked for at most once a page, and not at all for pages without unsettled tuples.
typedef struct Horizon {
  bool known;
  TransactionId oldest;
  MultiXactId oldest_multi;
} Horizon;

static void look(Horizon* horizon) {
  if (horizon->known) return;
  horizon->oldest = (TransactionId)oldest_running_xid();
  horizon->oldest_multi = GetOldestMultiXactId();
  horizon->known = true;
}

static bool may_run(TransactionId xid, Horizon* horizon) {
  if (!TransactionIdIsNormal(xid)) return false;
  look(horizon);
  return TransactionIdFollowsOrEquals(xid, horizon->oldest);
}

// Redo gives every tuple command id 0 and itself as its successor: then there is nothing to lose, as
// for whatever the first command of a transaction writes.
static bool redo_makes_the_same(HeapTupleHeader tuple) {
  return HeapTupleHeaderGetRawCommandId(tuple) == FirstCommandId && !(tuple->t_infomask & HEAP_COMBOCID) &&
         !HeapTupleHeaderIsSpeculative(tuple);
}

static bool tuple_is_running(HeapTupleHeader tuple, Horizon* horizon) {
  uint16 mask = tuple->t_infomask;

  if (redo_makes_the_same(tuple)) return false;

  if (!(mask & (HEAP_XMIN_COMMITTED | HEAP_XMIN_INVALID)) &&
      may_run(HeapTupleHeaderGetRawXmin(tuple), horizon))
    return true;
  if (mask & (HEAP_XMAX_COMMITTED | HEAP_XMAX_INVALID)) return false;
  if (!(mask & HEAP_XMAX_IS_MULTI)) return may_run(HeapTupleHeaderGetRawXmax(tuple), horizon);
  if (HEAP_XMAX_IS_LOCKED_ONLY(mask)) return false;
  look(horizon);
  return !MultiXactIdPrecedes(HeapTupleHeaderGetRawXmax(tuple), horizon->oldest_multi);
}

static bool has_running_tuples(Page page) {
  OffsetNumber max = PageGetMaxOffsetNumber(page);
  Horizon horizon = {0};

  if (((PageHeader)page)->pd_lower > BLCKSZ) return false;
  for (OffsetNumber n = FirstOffsetNumber; n <= max; n++) {
    ItemId item = PageGetItemId(page, n);

    if (!ItemIdIsNormal(item) || ItemIdGetLength(item) < SizeofHeapTupleHeader ||
        ItemIdGetOffset(item) + ItemIdGetLength(item) > BLCKSZ)
      continue;
    if (tuple_is_running((HeapTupleHeader)PageGetItem(page, item), &horizon)) return true;
  }
  return false;
}

// nbtree, GiST and hash pages all have 16 bytes of special space; their last two bytes tell them
// apart, since a cycle id is at most MAX_BT_CYCLE_ID and the others have page ids above.
static bool has_cycle_id(Page page) {
  BTPageOpaque opaque = (BTPageOpaque)((char*)page + BLCKSZ - MAXALIGN(sizeof(BTPageOpaqueData)));

  return opaque->btpo_cycleid != 0 && opaque->btpo_cycleid <= MAX_BT_CYCLE_ID;
}

static bool is_sequence(BlockNumber block, Page page) {
  uint32 magic;

  memcpy(&magic, (char*)page + BLCKSZ - MAXALIGN(sizeof(uint32)), sizeof(magic));
  return block == 0 && magic == SEQUENCE_MAGIC;
}

// WAL starts behind its first segment. Below it there are pages that were never logged, and those that
// initdb's bootstrap made, which all carry the LSN of the very first record and are in every timeline.
static bool was_never_logged(XLogRecPtr lsn) {
  return lsn < (XLogRecPtr)wal_segment_size && lsn != SizeOfXLogLongPHD;
}

LocalReason classify_page(ForkNumber fork, BlockNumber block, Page page) {
  uint16 special = ((PageHeader)page)->pd_special;

  if (fork != MAIN_FORKNUM) return LOCAL_FOR_NOTHING;
  if (was_never_logged(PageGetLSN(page))) return LOCAL_UNLOGGED;
  if (special == BLCKSZ) return has_running_tuples(page) ? LOCAL_COMMAND_IDS : LOCAL_FOR_NOTHING;
  if (special == BLCKSZ - MAXALIGN(sizeof(uint32)) && is_sequence(block, page)) return LOCAL_SEQUENCE;
  if (special == BLCKSZ - MAXALIGN(sizeof(BTPageOpaqueData)) && has_cycle_id(page)) return LOCAL_CYCLE_ID;
  return LOCAL_FOR_NOTHING;
}

bool page_flag_outruns_lsn(ForkNumber fork, Page page) {
  return fork == MAIN_FORKNUM && PageIsAllVisible(page);
}

bool map_says_nothing(ForkNumber fork, Page page) {
  const char* contents = PageGetContents(page);

  if (fork != FSM_FORKNUM && fork != VISIBILITYMAP_FORKNUM) return false;
  for (const char* at = contents; at < page + BLCKSZ; at++)
    if (*at != 0) return false;
  return true;
}
