// The map of the local file cache as a file beside it, named like it and a suffix: which page lies where,
// and its checksum.
//
// Two uses. With an LSN it stands for the pages themselves (file_cache.h says when). Without, it is a list of
// what was worth keeping, for prewarm.c. The file is for this machine and this library: a header, entries of
// 36 bytes, CRC-32C of all before. Replaced as a whole; nothing is synced, since what a loss of power leaves
// does not have the checksum.
#ifndef ARGON_PGEXT_CACHE_MAP_H
#define ARGON_PGEXT_CACHE_MAP_H

#include "argon.h"
#include "port/pg_crc32c.h"

typedef struct CacheKey {
  RelFileNode node;
  uint32 fork;
  BlockNumber block;
} CacheKey;

typedef struct CachePage {
  CacheKey key;
  volatile uint32 used;  // the cache's clock when it last was; readers store it under a shared lock
  uint32 valid;          // 0: the place is free
  uint32 checksum;       // CRC-32C of the page as it was stored
} CachePage;

typedef struct CacheMapEntry {
  uint32 place;  // in the cache
  CachePage page;
} CacheMapEntry;

#define CACHE_MAP_EXACT ".map"  // of a server that was stopped in order
#define CACHE_MAP_LIST ".list"

typedef struct CacheMapHeader {
  uint32 magic;
  uint32 version;
  char tenant[36];
  char timeline[36];
  uint64 system_id;
  uint64 lsn;   // the pages are those at this LSN; 0: nothing is said of them
  uint32 mode;  // ArgonMode
  uint32 sets;  // of the cache
  uint32 clock;
  uint32 reserved;
} CacheMapHeader;

typedef struct CacheMap {
  CacheMapHeader header;
  Size n;
  CacheMapEntry* entries;
} CacheMap;

// NULL without a problem where there is no file; NULL with *problem (palloc'd) where it cannot be read, is
// damaged, or is of another timeline. Palloc'd, to be freed by cache_map_free.
CacheMap* cache_map_read(const char* suffix, char** problem);
void cache_map_free(CacheMap* map);

// begin, add ..., end. No error is raised; end says whether all of it is there.
typedef struct CacheMapWriter {
  FILE* file;
  const char* suffix;
  pg_crc32c crc;
  bool failed;
} CacheMapWriter;
void cache_map_begin(CacheMapWriter* writer, const char* suffix, XLogRecPtr lsn, uint32 sets, uint32 clock);
void cache_map_add(CacheMapWriter* writer, uint32 place, const CachePage* page);
bool cache_map_end(CacheMapWriter* writer);

bool cache_map_exists(const char* suffix);
// False where it may still be there.
bool cache_map_remove(const char* suffix);
bool cache_map_rename(const char* from, const char* to);

#endif
