// Stub files: for every permanent relation fork that this server has touched, a local file as long
// as the fork (in segments of 1 GiB, as the server has them) that is nothing but holes, except for
// the pages kept here. They are the relation size cache, and they keep right what the server does
// with files behind the storage manager's back: mdimmedsync, the choice of relfilenodes,
// pg_relation_size, pg_database_size.
//
// A stub that exists is right: only this server writes the timeline. It appears at once with its
// whole length (made under another name, then linked), so no lock is needed to make one.
#ifndef ARGON_PGEXT_STUB_H
#define ARGON_PGEXT_STUB_H

#include "argon.h"

bool stub_exists(RelFileNode node, ForkNumber fork);
// Makes the stub unless somebody else just did. ERROR if the file cannot be made.
void stub_make(RelFileNode node, ForkNumber fork, BlockNumber nblocks);
// Makes the stub at least nblocks long. REQUIRES: the stub exists.
void stub_extend(RelFileNode node, ForkNumber fork, BlockNumber nblocks);
// Its length by stat; 0 if there is none. Never fails.
BlockNumber stub_blocks(RelFileNode node, ForkNumber fork);
// Gives the disk space of one block back. Never fails: what it cannot give back stays.
void stub_punch(RelFileNode node, ForkNumber fork, BlockNumber block);

#endif
