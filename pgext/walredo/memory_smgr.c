// The storage manager of the redo process: every relation exists and is as long as can be; nothing is kept
// but the target, should its buffer be taken for another page.
#include "walredo.h"

BufferTag walredo_target;
bool walredo_has_target;
PGAlignedBlock walredo_other_page;

static PGAlignedBlock evicted;  // the target, where its buffer was taken
static bool is_evicted;

void walredo_begin(const BufferTag* tag) {
  walredo_target = *tag;
  walredo_has_target = true;
  is_evicted = false;
}

static bool is_target(SMgrRelation relation, ForkNumber fork, BlockNumber block) {
  return walredo_has_target && walredo_target.blockNum == block && walredo_target.forkNum == fork &&
         RelFileNodeEquals(relation->smgr_rnode.node, walredo_target.rnode);
}

static void redo_open(SMgrRelation relation) {}
static void redo_close(SMgrRelation relation, ForkNumber fork) {}
static void redo_create(SMgrRelation relation, ForkNumber fork, bool is_redo) {}
static bool redo_exists(SMgrRelation relation, ForkNumber fork) {
  return true;
}
static void redo_unlink(RelFileNodeBackend node, ForkNumber fork, bool is_redo) {}
static bool redo_prefetch(SMgrRelation relation, ForkNumber fork, BlockNumber block) {
  return true;
}

static void redo_read(SMgrRelation relation, ForkNumber fork, BlockNumber block, char* page) {
  if (!is_target(relation, fork, block))
    memcpy(page, walredo_other_page.data, BLCKSZ);
  else if (is_evicted)
    memcpy(page, evicted.data, BLCKSZ);
  else
    memset(page, 0, BLCKSZ);
}

static void redo_write(SMgrRelation relation, ForkNumber fork, BlockNumber block, char* page,
                       bool skip_fsync) {
  if (!is_target(relation, fork, block)) return;
  memcpy(evicted.data, page, BLCKSZ);
  is_evicted = true;
}

static void redo_writeback(SMgrRelation relation, ForkNumber fork, BlockNumber block, BlockNumber nblocks) {}
static BlockNumber redo_nblocks(SMgrRelation relation, ForkNumber fork) {
  return MaxBlockNumber;
}
static void redo_truncate(SMgrRelation relation, ForkNumber fork, BlockNumber old_blocks,
                          BlockNumber nblocks) {}
static void redo_immedsync(SMgrRelation relation, ForkNumber fork) {}

const ArgonSmgrRow argon_smgr_row = {.init = NULL,
                                     .shutdown = NULL,
                                     .open = redo_open,
                                     .close = redo_close,
                                     .create = redo_create,
                                     .exists = redo_exists,
                                     .unlink = redo_unlink,
                                     .extend = redo_write,
                                     .prefetch = redo_prefetch,
                                     .read = redo_read,
                                     .write = redo_write,
                                     .writeback = redo_writeback,
                                     .nblocks = redo_nblocks,
                                     .truncate = redo_truncate,
                                     .immedsync = redo_immedsync};
