// The local file cache: clean pages of permanent relations in a local file, shared by all backends, so that
// what falls out of shared buffers need not come from the pageserver again. Bounded by argon.file_cache_size.
//
// Invariant: a page in it is the newest version of its block that left shared buffers. Every write of a block
// goes through the storage manager, which stores the page here or forgets the block. A page that was read
// from the pageserver is put here only if no block of its set was written or forgotten since the read began:
// the buffer manager never has one block read and written at the same time, but pg_prewarm reads without it.
// What changes pages without the storage manager (CREATE DATABASE by file copy, ALTER DATABASE SET
// TABLESPACE) forgets them first. So no LSN is needed to know that a page is right. On a static endpoint
// pages never change.
//
// 16 pages a set, of which the least recently used makes room; the set's lock is held around the I/O. A page
// that is not there makes room for itself always, or once in a few times, whichever of the two has fewer
// misses in sets that always do the one or the other (file_cache.c). Changing the size empties the cache. An
// I/O error turns the cache off until its size is set anew; no statement ever fails for it. Of each page a
// checksum is kept in memory: a page of the file that does not have it empties the cache, and is read from
// the pageserver.
//
// What outlives the server. The file and its map are beside the data directory, which does not. At the end of
// an orderly stop, when the shutdown checkpoint has written all pages and a quorum has it, every page here is
// the newest version at the end of WAL, E, and the map is written with E. The next server goes on with the
// pages if and only if its WAL begins at E, for the same tenant, timeline and system: committed WAL never
// changes, so nothing was written in between by anybody, and what stands before E is what the pages were made
// by. A static endpoint's are those of its LSN. In every other case (a crash, a kill, another endpoint that
// wrote, another size) the file is made anew and the map is only a list of what to ask the pageserver for
// (prewarm.h). The map is taken away before the first page of the file changes.
#ifndef ARGON_PGEXT_FILE_CACHE_H
#define ARGON_PGEXT_FILE_CACHE_H

#include "argon.h"

#define ARGON_FILE_CACHE_PARTITIONS 128

Size file_cache_shared_size(void);
// In the postmaster: makes the file, which its children inherit open.
void file_cache_init(void);
// Takes the size that the setting has now. REQUIRES: one process calls it.
void file_cache_resize(void);

// When a read missed.
typedef struct FileCacheMiss {
  uint32 set;
  uint32 writes;  // of the set
  bool on;        // false: there was no cache
  bool full;      // another page would have to make room
} FileCacheMiss;

// False if the page is not here; then *miss is for file_cache_fill().
bool file_cache_read(RelFileNode node, ForkNumber fork, BlockNumber block, char* page, FileCacheMiss* miss);
// Whether the page is here. It will be read soon: the kernel is told so.
bool file_cache_prefetch(RelFileNode node, ForkNumber fork, BlockNumber block);
// The page was read from the pageserver since its miss.
void file_cache_fill(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page,
                     const FileCacheMiss* miss);
// The page is written, and can be had from the pageserver. What is here of it is replaced.
void file_cache_store(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page);

// These take locks and nothing else: safe in a critical section.
void file_cache_forget(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to);
void file_cache_forget_database(Oid database);
void file_cache_forget_all(void);

// For what is asked for without being needed now, so that it takes no other page's room.
typedef enum FileCacheWant {
  FILE_CACHE_HAS_IT,
  FILE_CACHE_WANTS_IT,
  FILE_CACHE_IS_FULL,
  FILE_CACHE_IS_OFF
} FileCacheWant;
FileCacheWant file_cache_wants(RelFileNode node, ForkNumber fork, BlockNumber block, FileCacheMiss* miss);

// What is here now, as the list of the next prewarm.
bool file_cache_save_list(void);
// In the postmaster, when nobody else is left: all pages are those at this LSN. The list goes if nothing of
// it is left to do.
void file_cache_end(XLogRecPtr lsn, bool prewarmed);

int64 file_cache_kept(void);  // pages of the server before that were here at the start
int64 file_cache_pages(void);
int64 file_cache_size_mb(void);  // 0: off

#endif
