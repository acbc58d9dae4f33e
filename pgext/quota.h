// argon.max_cluster_size: how large all relations of the cluster may be together.
//
// The pageserver says about once a second how large they are, once something was written; what this server
// has added since is counted here. Room that others than this server's extensions take (a database that is
// copied as files) is seen with the pageserver's next word. Nothing is refused before its first.
#ifndef ARGON_PGEXT_QUOTA_H
#define ARGON_PGEXT_QUOTA_H

#include "argon.h"

// ERROR (disk full) where the cluster has its size. Not for the maps and the first block of a relation, so
// that space can be given back by VACUUM and TRUNCATE, nor for autovacuum.
void quota_check(RelFileNode node, ForkNumber fork, BlockNumber block);
void quota_note_growth(BlockNumber blocks);
// What the pageserver says; 0: nothing.
void quota_note_size(uint64 bytes);

#endif
