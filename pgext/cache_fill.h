// Pages that were read from the pageserver, on their way into the local file cache: those of a sequential
// reader go there a chunk at a time, by one write.
//
// A page that waits here is the reader's own; its miss says whether it may still come into the cache when it
// is written. What waits when the process ends, or when the reader stops, is not in the cache.
#ifndef ARGON_PGEXT_CACHE_FILL_H
#define ARGON_PGEXT_CACHE_FILL_H

#include "file_cache.h"

void cache_fill(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page, FileCacheMiss miss);
void cache_fill_finish(void);

#endif
