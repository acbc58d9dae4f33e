// What becomes of a permanent relation's page that leaves shared buffers: kept in the local file, logged,
// dropped, and stored in the file cache if the pageserver can make the same page. Its last-written LSN is
// remembered.
#ifndef ARGON_PGEXT_EVICT_H
#define ARGON_PGEXT_EVICT_H

#include "argon.h"

// The page leaves shared buffers: the file cache keeps it, or nothing of the block.
void evict_page(SMgrRelation reln, ForkNumber fork, BlockNumber block, char* page);
// Blocks [from, to) that an extension leaves out are zeros, and the pageserver may not know of them yet.
void evict_gap(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to);

#endif
