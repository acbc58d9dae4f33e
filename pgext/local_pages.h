// The one local-page mechanism (DESIGN 5.2): which blocks of a relation fork are valid in this
// server's own files because WAL alone cannot rebuild them.
//
// The local file is the relation's stub file: a page that is kept lies at its own offset, the rest
// is a hole. What is valid is said by a table in shared memory, a bitmap for every 1024 blocks.
// Three things can be said of a block: it is all zeros (nothing is stored); its page is stored; or there was
// no room, and the pageserver has an image of it, whose LSN is not the page's: that was never logged, so
// whoever changes it again logs nothing, and it must be kept again. Invariant: as long as a block is marked,
// the local page is the newest version of it, since every later write of the block marks it again or clears
// it. So reading a marked block is always right; entries go for want of room only, and only once nobody can
// need what WAL leaves out.
//
// Reads and writes of one block never run at the same time: the buffer manager sees to that.
// Nothing survives the server: its successor starts from a fresh base backup.
#ifndef ARGON_PGEXT_LOCAL_PAGES_H
#define ARGON_PGEXT_LOCAL_PAGES_H

#include "argon.h"

typedef enum LocalState { LOCAL_NONE, LOCAL_ZERO, LOCAL_STORED, LOCAL_IMAGE } LocalState;

// Why a block is kept. Any one reason keeps its whole bitmap.
typedef enum LocalReason {
  LOCAL_FOR_NOTHING = 0,
  LOCAL_NEW_PAGE = 1,     // all zeros
  LOCAL_UNLOGGED = 2,     // written before it was logged
  LOCAL_COMMAND_IDS = 4,  // tuples of running transactions
  LOCAL_CYCLE_ID = 8,     // nbtree page split while a vacuum ran
  LOCAL_SEQUENCE = 16,    // WAL runs ahead of the page
  LOCAL_MAP = 32,         // a map's page on a replica, which has no LSN that tells what was replayed on it
} LocalReason;

Size local_pages_shared_size(void);
void local_pages_init(void);

LocalState local_pages_state(RelFileNode node, ForkNumber fork, BlockNumber block);

// Marks a block; the caller stores the page afterwards (a sweep frees the space of unmarked blocks).
// next_xid is the server's nextXid now. False if there is no room: then nothing was
// changed but that the block is no longer marked.
bool local_pages_mark(RelFileNode node, ForkNumber fork, BlockNumber block, LocalState state,
                      LocalReason reason, uint64 next_xid);
// Takes the mark off; returns what it was.
LocalState local_pages_clear(RelFileNode node, ForkNumber fork, BlockNumber block);
// Takes all marks off blocks in [from, to). Never fails: truncation runs in a critical section.
void local_pages_clear_range(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to);
// DROP DATABASE and ALTER DATABASE ... SET TABLESPACE make no storage manager call.
void local_pages_forget_database(Oid database, Oid tablespace);
void local_pages_move_database(Oid database, Oid from, Oid to);

#endif
