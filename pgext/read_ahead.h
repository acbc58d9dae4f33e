// Sequential read-ahead: PostgreSQL 15 asks for no block of a sequential scan ahead of time, since the kernel
// does that for local files. Whoever reads a main fork block after block here has the next ones asked for, in
// a window that doubles up to argon.readahead_window, and is halved where blocks were asked for that the
// reader passed by.
//
// A few readers at once are told apart (a join, an index and its table). In one backend's memory alone.
#ifndef ARGON_PGEXT_READ_AHEAD_H
#define ARGON_PGEXT_READ_AHEAD_H

#include "argon.h"

// Block is being read. Asks the storage manager to prefetch what is likely to be read next; never waits.
// REQUIRES: a permanent relation's main fork.
void read_ahead(SMgrRelation reln, BlockNumber block);

#endif
