#include "evict.h"

#include "access/xlog.h"
#include "access/xloginsert.h"
#include "file_cache.h"
#include "last_written_lsn.h"
#include "local_pages.h"
#include "miscadmin.h"
#include "page_class.h"
#include "postmaster/interrupt.h"
#include "relation.h"
#include "single_user.h"
#include "smgr_row.h"
#include "storage/bufpage.h"
#include "storage/ipc.h"
#include "stub.h"

// The checkpointer was told to stop and writes what is left: WAL now would make it PANIC. Without a
// postmaster it is the one process that ends.
static bool shutting_down(void) {
  return (AmCheckpointerProcess() && ShutdownRequestPending) || (single_user_ships() && proc_exit_inprogress);
}

static bool may_write_wal(void) {
  return XLogInsertAllowed() && !shutting_down() && CritSectionCount == 0;
}

static uint64 next_xid_now(void) {
  return U64FromFullTransactionId(ReadNextFullTransactionId());
}

static void unmark(RelFileNode node, ForkNumber fork, BlockNumber block) {
  if (local_pages_clear(node, fork, block) == LOCAL_STORED) stub_punch(node, fork, block);
}

// A full image keeps all that the page has, whatever WAL left out of it.
static void log_image(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page) {
  PGAlignedBlock copy;
  XLogRecPtr lsn;

  memcpy(copy.data, page, BLCKSZ);
  lsn = log_newpage(&node, fork, block, copy.data, false);
  last_written_lsn_set(node, fork, block, lsn);
  unmark(node, fork, block);
}

// A page may have been read and changed without anybody asking for the relation's size.
static void ensure_file(RelFileNode node, ForkNumber fork, BlockNumber block) {
  if (!relation_ensure_stub(node, fork)) stub_make(node, fork, block + 1);
}

static void no_room(void) {
  ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("argon: no more than argon.max_local_pages (%d) pages can be kept in local files",
                         argon_max_local_pages),
                  errhint("Raise argon.max_local_pages if the disk has room.")));
}

static void keep_local(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page,
                       LocalReason reason) {
  RelFileNode node = reln->smgr_rnode.node;

  if (local_pages_mark(node, fork, block, LOCAL_STORED, reason, next_xid_now())) {
    ensure_file(node, fork, block);
    argon_md.write(reln, fork, block, page, true);
    argon_count(ARGON_LOCAL_PAGES_WRITTEN);
    return;
  }
  if (shutting_down()) return;  // nobody is left to read it, and no file of this directory is used again
  // WAL is ahead of the page. An image would take it back: what is taken of the sequence from here on needs
  // no WAL, and would be handed out once more after a crash.
  if (reason == LOCAL_SEQUENCE) {
    unmark(node, fork, block);
    return;
  }
  if (!may_write_wal()) no_room();
  log_image(node, fork, block, page);
  argon_count(ARGON_IMAGES_LOGGED);
  if (reason == LOCAL_UNLOGGED && !local_pages_mark(node, fork, block, LOCAL_IMAGE, reason, 0)) no_room();
}

// The free space map is not in WAL; what cannot be logged is lost, which costs some space only.
static void evict_fsm(RelFileNode node, BlockNumber block, const char* page) {
  if (!may_write_wal()) {
    argon_count(ARGON_FSM_PAGES_DROPPED);
    return;
  }
  log_image(node, FSM_FORKNUM, block, page);
  argon_count(ARGON_FSM_PAGES_LOGGED);
}

static void evict_new(RelFileNode node, ForkNumber fork, BlockNumber block) {
  last_written_lsn_set(node, fork, block, argon_insert_lsn());
  unmark(node, fork, block);
  (void)local_pages_mark(node, fork, block, LOCAL_ZERO, LOCAL_NEW_PAGE, 0);
}

// Redo changes a page, and hint bits. What is read again must have all that was replayed, and no more: of a
// page with an LSN that says how far that is. The maps have none, and some of their pages are here only.
static void evict_in_replica(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page) {
  RelFileNode node = reln->smgr_rnode.node;

  if (PageIsNew(page) || map_says_nothing(fork, page)) {
    evict_new(node, fork, block);
  } else if (fork == FSM_FORKNUM || fork == VISIBILITYMAP_FORKNUM) {
    keep_local(reln, fork, block, page, LOCAL_MAP);
  } else {
    last_written_lsn_set(node, fork, block, PageGetLSN(page));
    unmark(node, fork, block);
    argon_count(ARGON_PAGES_EVICTED);
  }
}

// True if the pageserver can make the same page.
static bool evict(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page) {
  RelFileNode node = reln->smgr_rnode.node;
  LocalReason reason;
  XLogRecPtr lsn;

  // The server extends its maps by empty pages, which are no more than zeros to it; read back at once, they
  // need not go to the pageserver and back first.
  if (PageIsNew(page) || map_says_nothing(fork, page)) {
    evict_new(node, fork, block);
    return false;
  }
  if (fork == FSM_FORKNUM) {
    evict_fsm(node, block, page);
    return false;
  }
  reason = classify_page(fork, block, page);
  lsn = page_flag_outruns_lsn(fork, page) ? argon_insert_lsn() : PageGetLSN(page);
  if (lsn >= (XLogRecPtr)wal_segment_size) last_written_lsn_set(node, fork, block, lsn);
  if (reason != LOCAL_FOR_NOTHING) {
    keep_local(reln, fork, block, page, reason);
    return false;
  }
  unmark(node, fork, block);
  argon_count(ARGON_PAGES_EVICTED);
  return true;
}

void evict_page(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page) {
  RelFileNode node = reln->smgr_rnode.node;

  if (argon_mode == ARGON_STATIC) return;  // hint bits
  if (argon_mode == ARGON_REPLICA)
    evict_in_replica(reln, fork, block, page);
  else if (evict(reln, fork, block, page))
    file_cache_store(node, fork, block, page);
  else
    file_cache_forget(node, fork, block, block + 1);
}

void evict_gap(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to) {
  file_cache_forget(node, fork, from, to);
  for (BlockNumber block = from; block < to; block++) {
    CHECK_FOR_INTERRUPTS();
    evict_new(node, fork, block);
  }
}
