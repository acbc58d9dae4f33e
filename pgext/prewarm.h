// Prewarm: a background worker that fetches into the local file cache what an earlier server of this endpoint
// had there, and that keeps the list of it.
//
// The list is the file cache's map as a file (cache_map.h): written every argon.file_cache_list_interval, so
// that it is there after a crash, but not while a round is unfinished; an orderly stop leaves it as the map.
// Nobody waits for a round: it takes what was used last first, at most argon.prewarm_rate, and no other
// page's room; what it cannot have it leaves out.
//
// A page may be put into the cache by the same rule as by pg_prewarm, which reads without the buffer manager,
// too (file_cache.h). But pg_prewarm has a lock on the relation, and so on its database. While a statement
// brings files under names that were in use before, the pageserver may still have the old ones: nothing is
// put there then.
#ifndef ARGON_PGEXT_PREWARM_H
#define ARGON_PGEXT_PREWARM_H

#include "argon.h"

Size prewarm_shared_size(void);
void prewarm_init(void);
void prewarm_register_worker(void);

// Around a statement that brings files under old names; held before the file cache forgets them.
void prewarm_hold_back(void);
void prewarm_let_go(void);

// No round is under way, and none was given up.
bool prewarm_is_done(void);

#endif
