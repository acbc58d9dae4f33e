// The last-written LSN of pages: how far the pageserver must be before it may answer for a page.
//
// A fixed table in shared memory, 4 slots a set, one lock for every 1/64 of the sets. An entry that
// has to make room first raises the default, which stands for everything without an entry, so a
// look-up is never too low; it may be too high, which only waits longer. Entries only grow.
// Block InvalidBlockNumber stands for the relation fork itself: its size and that it exists.
#ifndef ARGON_PGEXT_LAST_WRITTEN_LSN_H
#define ARGON_PGEXT_LAST_WRITTEN_LSN_H

#include "argon.h"

Size last_written_lsn_shared_size(void);
void last_written_lsn_init(void);

// Takes one lightweight lock; safe in a critical section.
void last_written_lsn_set(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr lsn);
XLogRecPtr last_written_lsn_get(RelFileNode node, ForkNumber fork, BlockNumber block);

// Raises what everything without an entry counts as, and every entry below it counts as well.
void last_written_lsn_raise_default(XLogRecPtr lsn);

#endif
