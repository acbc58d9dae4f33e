// The storage manager: what stands in the server's table instead of the md functions.
//
// Three kinds of relation. Temporary and unlogged ones are the server's own files, untouched.
// Permanent ones live on the pageserver; here they have a stub file of the right length, and the few
// pages that WAL alone cannot rebuild (local_pages.h). All relation sizes are stub lengths.
//
// REQUIRES of the server, and kept by it: a block is never read while it is written; truncation is
// preceded by smgrnblocks on every fork, outside the critical section, so that stubs are there and
// their segments open.
#include "argon.h"

#include "evict.h"
#include "file_cache.h"
#include "last_written_lsn.h"
#include "local_pages.h"
#include "miscadmin.h"
#include "page_class.h"
#include "page_client.h"
#include "quota.h"
#include "read_ahead.h"
#include "relation.h"
#include "shadow.h"
#include "smgr_row.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/md.h"
#include "stub.h"

// While the self-check runs, calls on the sentinel relation only leave a mark.
static bool checking;
static uint32 calls_seen;

enum {
  SAW_CREATE = 1,
  SAW_EXISTS = 2,
  SAW_UNLINK = 4,
  SAW_EXTEND = 8,
  SAW_PREFETCH = 16,
  SAW_READ = 32,
  SAW_WRITE = 64,
  SAW_WRITEBACK = 128,
  SAW_NBLOCKS = 256,
  SAW_TRUNCATE = 512,
  SAW_ALL = 1023
};

static bool sentinel(uint32 mark) {
  if (likely(!checking)) return false;
  calls_seen |= mark;
  return true;
}

static void read_image(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page);

// Of an index that is built before it is known to be unlogged: what was logged for want of room.
static void fetch_images(SMgrRelation reln) {
  BlockNumber nblocks = stub_blocks(reln->smgr_rnode.node, MAIN_FORKNUM);
  PGAlignedBlock page;

  for (BlockNumber block = 0; block < nblocks; block++) {
    if (local_pages_state(reln->smgr_rnode.node, MAIN_FORKNUM, block) != LOCAL_IMAGE) continue;
    CHECK_FOR_INTERRUPTS();
    read_image(reln, MAIN_FORKNUM, block, page.data);
    argon_md.write(reln, MAIN_FORKNUM, block, page.data, true);
  }
}

static void argon_create(SMgrRelation reln, ForkNumber fork, bool is_redo) {
  RelFileNode node = reln->smgr_rnode.node;

  if (sentinel(SAW_CREATE)) return;
  if (RelFileNodeBackendIsTemp(reln->smgr_rnode)) {
    argon_md.create(reln, fork, is_redo);
    return;
  }
  // Redo wants a fork that it is about to read to be there, and creates those that are not.
  if (is_redo && relation_ensure_stub(node, fork)) return;
  // The server looked for a free relfilenode among local files; the pageserver may have a relation
  // of that number that was not touched since this server began.
  if (fork == MAIN_FORKNUM && !is_redo && relation_ensure_stub(node, fork))
    ereport(ERROR,
            (errcode(ERRCODE_DUPLICATE_FILE),
             errmsg("could not create relation " ARGON_REL_FORMAT ": it exists", ARGON_REL_ARGS(node, fork)),
             errhint("Run the command again: the next free number is used then.")));
  // Other processes take the relation for local as soon as the file is there: what is dirty is written
  // before, and nobody changes the index any more.
  if (fork == INIT_FORKNUM && !is_redo) FlushRelationsAllBuffers(&reln, 1);
  argon_md.create(reln, fork, is_redo);
  local_pages_clear_range(node, fork, 0, stub_blocks(node, fork));
  if (!is_redo) last_written_lsn_set(node, fork, InvalidBlockNumber, argon_insert_lsn());
  if (fork == MAIN_FORKNUM) {
    relation_note_absent(node, FSM_FORKNUM);
    relation_note_absent(node, VISIBILITYMAP_FORKNUM);
    relation_note_absent(node, INIT_FORKNUM);
  }
  // From here on every block of the relation is local, those written before included: no mark tells of them,
  // or takes the room of others.
  if (fork == INIT_FORKNUM) {
    if (!is_redo) fetch_images(reln);
    local_pages_clear_range(node, MAIN_FORKNUM, 0, stub_blocks(node, MAIN_FORKNUM));
    relation_locality_changed();
  }
  shadow_forget(node, fork, 0);
}

static bool argon_exists(SMgrRelation reln, ForkNumber fork) {
  if (sentinel(SAW_EXISTS)) return true;
  if (relation_is_local(reln->smgr_rnode)) return argon_md.exists(reln, fork);
  return relation_ensure_stub(reln->smgr_rnode.node, fork);
}

// Runs behind commit or abort: nothing here may fail.
static void argon_unlink(RelFileNodeBackend node, ForkNumber fork, bool is_redo) {
  bool was_unlogged;

  if (sentinel(SAW_UNLINK)) return;
  was_unlogged = !RelFileNodeBackendIsTemp(node) && relation_is_local(node);
  if (!RelFileNodeBackendIsTemp(node)) {
    XLogRecPtr lsn = is_redo ? InvalidXLogRecPtr : argon_insert_lsn();

    for (ForkNumber f = MAIN_FORKNUM; f <= MAX_FORKNUM; f++) {
      if (fork != InvalidForkNumber && fork != f) continue;
      local_pages_clear_range(node.node, f, 0, stub_blocks(node.node, f));
      file_cache_forget(node.node, f, 0, stub_blocks(node.node, f));
      if (!XLogRecPtrIsInvalid(lsn)) last_written_lsn_set(node.node, f, InvalidBlockNumber, lsn);
      shadow_forget(node.node, f, 0);
    }
  }
  argon_md.unlink(node, fork, is_redo);
  if (was_unlogged) relation_locality_changed();
}

static void argon_write(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page, bool skip_fsync) {
  if (sentinel(SAW_WRITE)) return;
  if (relation_is_local(reln->smgr_rnode)) {
    argon_md.write(reln, fork, block, page, skip_fsync);
    return;
  }
  evict_page(reln, fork, block, page);
  shadow_write(reln->smgr_rnode.node, fork, block, page);
}

static void argon_extend(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page, bool skip_fsync) {
  RelFileNode node = reln->smgr_rnode.node;
  BlockNumber old_blocks;

  if (sentinel(SAW_EXTEND)) return;
  if (relation_is_local(reln->smgr_rnode)) {
    argon_md.extend(reln, fork, block, page, skip_fsync);
    return;
  }
  if (block == InvalidBlockNumber)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("cannot extend relation " ARGON_REL_FORMAT " beyond %u blocks",
                           ARGON_REL_ARGS(node, fork), InvalidBlockNumber)));
  argon_slow_down();
  quota_check(node, fork, block);
  relation_ensure_stub(node, fork);
  old_blocks = argon_md.nblocks(reln, fork);
  stub_extend(node, fork, block + 1);
  if (block >= old_blocks) quota_note_growth(block + 1 - old_blocks);
  evict_gap(node, fork, old_blocks, block);
  evict_page(reln, fork, block, page);
  shadow_write(node, fork, block, page);
}

// A visibility map page's bits are cleared without moving its LSN, so no remembered LSN is enough. (A replica
// keeps such pages itself.)
XLogRecPtr argon_not_modified_since(RelFileNode node, ForkNumber fork, BlockNumber block) {
  if (argon_mode == ARGON_STATIC) return argon_static_lsn;
  if (argon_mode == ARGON_PRIMARY && fork == VISIBILITYMAP_FORKNUM) return argon_insert_lsn();
  return last_written_lsn_get(node, fork, block);
}

// Only main forks are read in rows, and a map page asked for early is never new enough (see above).
static bool argon_prefetch(SMgrRelation reln, ForkNumber fork, BlockNumber block) {
  RelFileNode node = reln->smgr_rnode.node;

  if (sentinel(SAW_PREFETCH)) return true;
  if (relation_is_local(reln->smgr_rnode)) return argon_md.prefetch(reln, fork, block);
  if (fork == MAIN_FORKNUM && local_pages_state(node, fork, block) == LOCAL_NONE &&
      !file_cache_prefetch(node, fork, block)) {
    (void)page_client_prefetch(node, fork, block, argon_not_modified_since(node, fork, block));
    page_client_send();
  }
  return true;
}

// This server's WAL is where its pages come from, unless another endpoint has taken the timeline over. A page
// of that one's would be taken for older, and fail where it is written back.
static void refuse_from_another(RelFileNode node, ForkNumber fork, BlockNumber block, Page page) {
  static XLogRecPtr own;  // this server's WAL goes at least so far

  if (argon_mode != ARGON_PRIMARY || PageGetLSN(page) <= own) return;
  own = argon_insert_lsn();
  if (PageGetLSN(page) <= own) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("argon: this server is cut off: block %u of " ARGON_REL_FORMAT
                  " was changed at LSN %X/%X by another endpoint, and its own WAL ends at %X/%X",
                  block, ARGON_REL_ARGS(node, fork), LSN_FORMAT_ARGS(PageGetLSN(page)), LSN_FORMAT_ARGS(own)),
           errhint("Connect to the endpoint of this timeline that was started last.")));
}

static void read_remote(SMgrRelation reln, ForkNumber fork, BlockNumber block, FileCacheMiss miss,
                        char* page) {
  RelFileNode node = reln->smgr_rnode.node;
  PageRead read = page_client_begin_read(node, fork, block, argon_not_modified_since(node, fork, block));

  if (fork == MAIN_FORKNUM) read_ahead(reln, block);
  page_client_end_read(&read, page);
  refuse_from_another(node, fork, block, page);
  // Redo on the pageserver sets no checksums.
  if (!PageIsNew(page)) PageSetChecksumInplace(page, block);
  file_cache_fill(node, fork, block, page, &miss);
}

static void read_clean(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page) {
  FileCacheMiss miss;

  if (!file_cache_read(reln->smgr_rnode.node, fork, block, page, &miss))
    read_remote(reln, fork, block, miss, page);
  else if (fork == MAIN_FORKNUM)
    read_ahead(reln, block);  // of what is not in the cache
  shadow_compare(reln->smgr_rnode.node, fork, block, page);
}

static void read_image(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page) {
  read_clean(reln, fork, block, page);
  PageSetLSN(page, LSN_OF_NEVER_LOGGED);
  PageSetChecksumInplace(page, block);
}

static void argon_read(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page) {
  RelFileNode node = reln->smgr_rnode.node;

  if (sentinel(SAW_READ)) return;
  if (relation_is_local(reln->smgr_rnode)) {
    argon_md.read(reln, fork, block, page);
    return;
  }
  switch (local_pages_state(node, fork, block)) {
    case LOCAL_ZERO:
      memset(page, 0, BLCKSZ);
      argon_count(ARGON_ZERO_PAGES_READ);
      break;
    case LOCAL_STORED:
      argon_md.read(reln, fork, block, page);
      argon_count(ARGON_LOCAL_PAGES_READ);
      break;
    case LOCAL_IMAGE:
      read_image(reln, fork, block, page);
      break;
    case LOCAL_NONE:
      read_clean(reln, fork, block, page);
      break;
  }
}

static void argon_writeback(SMgrRelation reln, ForkNumber fork, BlockNumber block, BlockNumber nblocks) {
  if (sentinel(SAW_WRITEBACK)) return;
  if (RelFileNodeBackendIsTemp(reln->smgr_rnode)) argon_md.writeback(reln, fork, block, nblocks);
}

static BlockNumber argon_nblocks(SMgrRelation reln, ForkNumber fork) {
  if (sentinel(SAW_NBLOCKS)) return 1;
  // An open segment is proof enough of a stub.
  if (reln->md_num_open_segs[fork] == 0 && !relation_is_local(reln->smgr_rnode) &&
      !relation_ensure_stub(reln->smgr_rnode.node, fork))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FILE),
                    errmsg("could not open relation " ARGON_REL_FORMAT ": it does not exist",
                           ARGON_REL_ARGS(reln->smgr_rnode.node, fork))));
  return argon_md.nblocks(reln, fork);
}

static void argon_truncate(SMgrRelation reln, ForkNumber fork, BlockNumber old_blocks, BlockNumber nblocks) {
  if (sentinel(SAW_TRUNCATE)) return;
  if (!RelFileNodeBackendIsTemp(reln->smgr_rnode)) {
    local_pages_clear_range(reln->smgr_rnode.node, fork, nblocks, old_blocks);
    file_cache_forget(reln->smgr_rnode.node, fork, nblocks, old_blocks);
    shadow_forget(reln->smgr_rnode.node, fork, nblocks);
  }
  argon_md.truncate(reln, fork, old_blocks, nblocks);
}

static void argon_immedsync(SMgrRelation reln, ForkNumber fork) {
  if (relation_is_local(reln->smgr_rnode)) argon_md.immedsync(reln, fork);
}

const ArgonSmgrRow argon_smgr_row = {.init = mdinit,
                                     .shutdown = NULL,
                                     .open = mdopen,
                                     .close = mdclose,
                                     .create = argon_create,
                                     .exists = argon_exists,
                                     .unlink = argon_unlink,
                                     .extend = argon_extend,
                                     .prefetch = argon_prefetch,
                                     .read = argon_read,
                                     .write = argon_write,
                                     .writeback = argon_writeback,
                                     .nblocks = argon_nblocks,
                                     .truncate = argon_truncate,
                                     .immedsync = argon_immedsync};

// smgrimmedsync is left out: the compiler turned it into a direct call of mdimmedsync, for which the
// stubs exist.
void argon_check_swap(void) {
  RelFileNode node = {.spcNode = 1663, .dbNode = 1, .relNode = PG_UINT32_MAX};
  SMgrRelation reln = smgropen(node, InvalidBackendId);
  ForkNumber fork = MAIN_FORKNUM;
  BlockNumber old_blocks = 1;
  BlockNumber nblocks = 0;
  PGAlignedBlock page;

  memset(page.data, 0, BLCKSZ);
  checking = true;
  smgrcreate(reln, fork, false);
  (void)smgrexists(reln, fork);
  smgrextend(reln, fork, 0, page.data, true);
  (void)smgrprefetch(reln, fork, 0);
  smgrread(reln, fork, 0, page.data);
  smgrwrite(reln, fork, 0, page.data, true);
  smgrwriteback(reln, fork, 0, 1);
  (void)smgrnblocks(reln, fork);
  smgrtruncate2(reln, &fork, 1, &old_blocks, &nblocks);
  smgrdounlinkall(&reln, 1, false);
  smgrclose(reln);
  checking = false;
  if (calls_seen != SAW_ALL)
    ereport(
        FATAL,
        (errmsg("argon: this build of PostgreSQL passes the storage manager table by (calls seen: %x of %x)",
                calls_seen, SAW_ALL),
         errhint("Argon runs on Debian's postgresql-15 from 15.13 on.")));
}
