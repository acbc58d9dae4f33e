#define _GNU_SOURCE
#include "file_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "cache_map.h"
#include "common/file_perm.h"
#include "common/hashfn.h"
#include "storage/shmem.h"

#define WAYS 16
#define STEP_MB 16  // as many sets as there are locks
#define SETS_A_STEP ARGON_FILE_CACHE_PARTITIONS

typedef CacheKey Key;
typedef CachePage Entry;

typedef struct Cache {
  pg_atomic_uint32 sets;    // a multiple of SETS_A_STEP; changes under all locks. 0: off
  pg_atomic_uint32 failed;  // an I/O error happened
  pg_atomic_uint32 pages;
  pg_atomic_uint32 clock;  // counts uses
  int size_mb;             // what the setting was when it was last looked at
  uint32 kept;             // pages that the server before this one had stored
  // How far letting every page in is ahead of doing so once in a while (lets_in).
  pg_atomic_uint32 always_ahead;
} Cache;

StaticAssertDecl((uint64)SETS_A_STEP* WAYS* BLCKSZ == (uint64)STEP_MB << 20, "a step is one set a lock");

static Cache* cache;
static Entry* entries;
static uint32* set_writes;  // for each set, how often a block of it was stored by a write, or forgotten
static LWLockPadded* locks;
static int file = -1;

static uint32 max_sets(void) {
  return (uint32)(argon_max_file_cache_size_mb / STEP_MB) * SETS_A_STEP;
}

Size file_cache_shared_size(void) {
  return MAXALIGN(sizeof(Cache)) + mul_size(max_sets(), WAYS * sizeof(Entry) + sizeof(uint32));
}

static void turn_off(const char* what) {
  if (pg_atomic_exchange_u32(&cache->failed, 1) == 0)
    ereport(LOG,
            (errcode_for_file_access(),
             errmsg("argon: the local file cache is turned off, since its file \"%s\" could not be %s: %m",
                    argon_file_cache_path, what),
             errhint("Change argon.file_cache_size to have it tried again.")));
}

// Held open and locked by the postmaster for as long as the server lives, so that no other server takes it
// over. What is not taken over is a file of its own: processes of a server that was killed may still write
// the old one.
static bool take_over_file(void) {
  file = open(argon_file_cache_path, O_RDWR | O_CLOEXEC);
  if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0) return true;
  if (file >= 0) close(file);
  file = -1;
  return false;
}

static void make_file(void) {
  if (unlink(argon_file_cache_path) == 0 || errno == ENOENT)
    file = open(argon_file_cache_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, pg_file_create_mode);
  if (file < 0)
    turn_off("made");
  else if (flock(file, LOCK_EX | LOCK_NB) != 0)
    turn_off("locked");
}

// Why the pages of the file may not be used; NULL where they may (file_cache.h).
static char* not_exact(const CacheMap* map, uint32 sets) {
  XLogRecPtr lsn = argon_mode == ARGON_STATIC ? argon_static_lsn : argon_start_lsn;

  if (map->header.lsn != lsn)
    return psprintf("its pages are those at %X/%X, but the server starts at %X/%X",
                    LSN_FORMAT_ARGS(map->header.lsn), LSN_FORMAT_ARGS(lsn));
  if (map->header.mode != (uint32)argon_mode) return pstrdup("it is of an endpoint of another mode");
  if (map->header.sets != sets) return pstrdup("it has another size");
  return NULL;
}

static void adopt(const CacheMap* map, uint32 sets) {
  for (Size i = 0; i < map->n; i++) {
    const CacheMapEntry* entry = &map->entries[i];

    if (entry->place >= sets * WAYS) continue;
    entries[entry->place] = entry->page;
    cache->kept++;
  }
  pg_atomic_write_u32(&cache->pages, cache->kept);
  pg_atomic_write_u32(&cache->clock, map->header.clock);
}

// The map is of one use: it is gone, or no more than a list, before any page of the file changes. A list that
// is there says what a prewarm had not finished, and more than the map.
static bool use_up_map(bool is_ours) {
  if (is_ours && !cache_map_exists(CACHE_MAP_LIST) && cache_map_rename(CACHE_MAP_EXACT, CACHE_MAP_LIST))
    return true;
  return cache_map_remove(CACHE_MAP_EXACT);
}

static void begin_with_what_is_there(uint32 sets) {
  char* problem = NULL;
  CacheMap* map = cache_map_read(CACHE_MAP_EXACT, &problem);

  if (map != NULL) problem = not_exact(map, sets);
  if (map != NULL && problem == NULL && !take_over_file()) problem = pstrdup("its file is gone or in use");
  if (!use_up_map(map != NULL)) problem = pstrdup("its map could not be removed");
  if (map != NULL && problem == NULL) {
    adopt(map, sets);
    ereport(LOG, (errmsg("argon: the local file cache has %u pages as of %X/%X", cache->kept,
                         LSN_FORMAT_ARGS(map->header.lsn))));
  } else if (problem != NULL) {
    ereport(LOG, (errmsg("argon: the local file cache begins empty: %s", problem)));
    if (file >= 0) close(file);
    file = -1;
  }
  cache_map_free(map);
  if (file < 0) make_file();
  // Pages beside each other in the file have nothing to do with each other.
  if (file >= 0) (void)posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
}

void file_cache_init(void) {
  bool found;
  char* memory;

  // The invariant is shown for a primary and a static endpoint only: a replica's pages change by redo.
  if (argon_max_file_cache_size_mb == 0 || argon_mode == ARGON_REPLICA) return;
  memory = ShmemInitStruct("argon file cache", file_cache_shared_size(), &found);
  cache = (Cache*)memory;
  entries = (Entry*)(memory + MAXALIGN(sizeof(Cache)));
  set_writes = (uint32*)(entries + (Size)max_sets() * WAYS);
  locks = GetNamedLWLockTranche("argon_file_cache");
  if (found) return;
  memset(memory, 0, file_cache_shared_size());
  pg_atomic_init_u32(&cache->sets, 0);
  pg_atomic_init_u32(&cache->failed, 0);
  pg_atomic_init_u32(&cache->pages, 0);
  pg_atomic_init_u32(&cache->clock, 0);
  pg_atomic_init_u32(&cache->always_ahead, 0);
  cache->size_mb = Min(argon_file_cache_size_mb, argon_max_file_cache_size_mb);
  begin_with_what_is_there((uint32)(cache->size_mb / STEP_MB) * SETS_A_STEP);
  pg_atomic_write_u32(&cache->sets, (uint32)(cache->size_mb / STEP_MB) * SETS_A_STEP);
}

static bool is_on(void) {
  return cache != NULL && pg_atomic_read_u32(&cache->sets) != 0 && pg_atomic_read_u32(&cache->failed) == 0;
}

static void clear(Entry* entry) {
  if (entry->valid != 0) pg_atomic_fetch_sub_u32(&cache->pages, 1);
  entry->valid = 0;
}

static void lock_all(void) {
  for (int i = 0; i < ARGON_FILE_CACHE_PARTITIONS; i++) LWLockAcquire(&locks[i].lock, LW_EXCLUSIVE);
}

static void unlock_all(void) {
  for (int i = ARGON_FILE_CACHE_PARTITIONS - 1; i >= 0; i--) LWLockRelease(&locks[i].lock);
}

// REQUIRES: all locks, exclusively.
static void clear_all(void) {
  for (Size i = 0; i < (Size)max_sets() * WAYS; i++) clear(&entries[i]);
  for (Size i = 0; i < max_sets(); i++) set_writes[i]++;
}

void file_cache_resize(void) {
  int size_mb = Min(argon_file_cache_size_mb, argon_max_file_cache_size_mb);

  if (cache == NULL || file < 0 || size_mb == cache->size_mb) return;
  lock_all();
  clear_all();
  cache->size_mb = size_mb;
  pg_atomic_write_u32(&cache->failed, 0);
  if (ftruncate(file, 0) != 0) turn_off("emptied");
  pg_atomic_write_u32(&cache->sets, (uint32)(size_mb / STEP_MB) * SETS_A_STEP);
  unlock_all();
}

// The page's set, its lock taken; NULL with no lock if the cache is off. The lock does not depend on the
// size.
static Entry* lock_set(const Key* key, LWLockMode mode, LWLock** lock) {
  uint32 hash = hash_bytes((const unsigned char*)key, sizeof(*key));
  uint32 sets;

  *lock = &locks[hash % ARGON_FILE_CACHE_PARTITIONS].lock;
  LWLockAcquire(*lock, mode);
  sets = pg_atomic_read_u32(&cache->sets);
  if (sets != 0) return &entries[(Size)(hash % sets) * WAYS];
  LWLockRelease(*lock);
  return NULL;
}

static uint32 number_of(const Entry* set) {
  return (uint32)((set - entries) / WAYS);
}

static Entry* find(Entry* set, const Key* key) {
  for (int i = 0; i < WAYS; i++)
    if (set[i].valid != 0 && memcmp(&set[i].key, key, sizeof(*key)) == 0) return &set[i];
  return NULL;
}

static bool is_full(const Entry* set) {
  for (int i = 0; i < WAYS; i++)
    if (set[i].valid == 0) return false;
  return true;
}

static off_t offset_of(const Entry* entry) {
  return (off_t)(entry - entries) * BLCKSZ;
}

static Key key_of(RelFileNode node, ForkNumber fork, BlockNumber block) {
  return (Key){node, (uint32)fork, block};
}

// REQUIRES: the set's lock. False where the file failed.
static bool read_page(Entry* entry, char* page) {
  errno = EIO;  // what a short read means
  if (pread(file, page, BLCKSZ, offset_of(entry)) != BLCKSZ) {
    turn_off("read");
    return false;
  }
  entry->used = pg_atomic_fetch_add_u32(&cache->clock, 1);
  return true;
}

static uint32 checksum_of(const char* page) {
  pg_crc32c crc;

  INIT_CRC32C(crc);
  COMP_CRC32C(crc, page, BLCKSZ);
  FIN_CRC32C(crc);
  return crc;
}

// The file is not what was written to it, so none of it is trusted.
static void throw_away(RelFileNode node, ForkNumber fork, BlockNumber block) {
  ereport(LOG, (errmsg("argon: the local file cache is emptied, since a page in its file \"%s\" is damaged",
                       argon_file_cache_path),
                errdetail("Block %u of relation " ARGON_REL_FORMAT " does not have the checksum that it was "
                          "stored with.",
                          block, ARGON_REL_ARGS(node, fork))));
  file_cache_forget_all();
}

bool file_cache_read(RelFileNode node, ForkNumber fork, BlockNumber block, char* page, FileCacheMiss* miss) {
  Key key = key_of(node, fork, block);
  LWLock* lock;
  Entry* set;
  Entry* entry;
  uint32 checksum = 0;
  bool here;

  *miss = (FileCacheMiss){0};
  if (!is_on() || (set = lock_set(&key, LW_SHARED, &lock)) == NULL) return false;
  entry = find(set, &key);
  here = entry != NULL && read_page(entry, page);
  if (here) checksum = entry->checksum;
  *miss = (FileCacheMiss){number_of(set), set_writes[number_of(set)], true, !here && is_full(set)};
  LWLockRelease(lock);
  if (here && checksum_of(page) != checksum) {
    throw_away(node, fork, block);
    here = false;
  }
  argon_count(here ? ARGON_FILE_CACHE_HITS : ARGON_FILE_CACHE_MISSES);
  return here;
}

bool file_cache_prefetch(RelFileNode node, ForkNumber fork, BlockNumber block) {
  Key key = key_of(node, fork, block);
  off_t offset = -1;
  LWLock* lock;
  Entry* set;
  Entry* entry;

  if (!is_on() || (set = lock_set(&key, LW_SHARED, &lock)) == NULL) return false;
  entry = find(set, &key);
  if (entry != NULL) offset = offset_of(entry);
  LWLockRelease(lock);
  if (offset < 0) return false;
  (void)posix_fadvise(file, offset, BLCKSZ, POSIX_FADV_WILLNEED);
  return true;
}

// REQUIRES: the set's lock, exclusively.
static Entry* make_room(Entry* set) {
  uint32 now = pg_atomic_read_u32(&cache->clock);
  Entry* oldest = &set[0];

  for (int i = 0; i < WAYS; i++) {
    if (set[i].valid == 0) return &set[i];
    if (now - set[i].used > now - oldest->used) oldest = &set[i];
  }
  clear(oldest);
  argon_count(ARGON_FILE_CACHE_EVICTIONS);
  return oldest;
}

// REQUIRES: the set's lock, exclusively; nobody changes the page meanwhile.
static void put(Entry* set, const Key* key, const char* page) {
  Entry* entry = find(set, key);

  if (entry == NULL) {
    entry = make_room(set);
    entry->key = *key;
  }
  entry->used = pg_atomic_fetch_add_u32(&cache->clock, 1);
  errno = ENOSPC;  // what a short write means
  if (pwrite(file, page, BLCKSZ, offset_of(entry)) == BLCKSZ) {
    if (entry->valid == 0) pg_atomic_fetch_add_u32(&cache->pages, 1);
    entry->valid = 1;
    entry->checksum = checksum_of(page);
  } else {
    clear(entry);
    turn_off("written");
  }
}

static bool once_in_a_while(void) {
  static uint32 state = 1;

  state = state * 1664525 + 1013904223;
  return state >> 29 == 0;
}

// Dynamic insertion: of every so many full sets one always lets pages in, and one once in 8 times, which
// keeps what is read again and again where more is read than there is room for, and spares the writes. All
// others do what has had fewer misses of late.
#define DUEL_SETS 32
#define DUEL_LEAD 1024

static void count_miss(uint32 set) {
  uint32 lead = pg_atomic_read_u32(&cache->always_ahead);

  if (set % DUEL_SETS == 0 && lead > 0)
    pg_atomic_write_u32(&cache->always_ahead, lead - 1);
  else if (set % DUEL_SETS == 1 && lead < DUEL_LEAD)
    pg_atomic_write_u32(&cache->always_ahead, lead + 1);
}

// Whether a page that is not in a full set makes room for itself.
static bool lets_in(uint32 set) {
  bool always = set % DUEL_SETS == 0 ||
                (set % DUEL_SETS != 1 && pg_atomic_read_u32(&cache->always_ahead) > DUEL_LEAD / 2);

  return always || once_in_a_while();
}

void file_cache_fill(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page,
                     const FileCacheMiss* miss) {
  Key key = key_of(node, fork, block);
  LWLock* lock;
  Entry* set;

  if (!miss->on) return;
  if (miss->full) {
    count_miss(miss->set);
    if (!lets_in(miss->set)) return;
  }
  if (!is_on() || (set = lock_set(&key, LW_EXCLUSIVE, &lock)) == NULL) return;
  if (miss->set == number_of(set) && miss->writes == set_writes[miss->set]) put(set, &key, page);
  LWLockRelease(lock);
}

void file_cache_store(RelFileNode node, ForkNumber fork, BlockNumber block, const char* page) {
  Key key = key_of(node, fork, block);
  LWLock* lock;
  Entry* set;

  if (cache == NULL || (set = lock_set(&key, LW_EXCLUSIVE, &lock)) == NULL) return;
  set_writes[number_of(set)]++;
  // Much of what is written is hint bits of pages that were only read.
  if (is_on() && (find(set, &key) != NULL || !is_full(set) || lets_in(number_of(set)))) {
    PGAlignedBlock copy;  // hint bits may be set in a shared buffer while it is written

    memcpy(copy.data, page, BLCKSZ);
    put(set, &key, copy.data);
  }
  LWLockRelease(lock);
}

static void forget_one(RelFileNode node, ForkNumber fork, BlockNumber block) {
  Key key = key_of(node, fork, block);
  LWLock* lock;
  Entry* set = lock_set(&key, LW_EXCLUSIVE, &lock);
  Entry* entry;

  if (set == NULL) return;
  set_writes[number_of(set)]++;
  entry = find(set, &key);
  if (entry != NULL) clear(entry);
  LWLockRelease(lock);
}

// Looks through the whole cache, a set at a time.
static void forget_many(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to) {
  for (uint32 set = 0; set < max_sets(); set++) {
    LWLock* lock = &locks[set % ARGON_FILE_CACHE_PARTITIONS].lock;

    LWLockAcquire(lock, LW_EXCLUSIVE);
    set_writes[set]++;
    for (Entry* entry = &entries[(Size)set * WAYS]; entry < &entries[((Size)set + 1) * WAYS]; entry++) {
      const Key* key = &entry->key;

      if (entry->valid != 0 && RelFileNodeEquals(key->node, node) && key->fork == (uint32)fork &&
          key->block >= from && key->block < to)
        clear(entry);
    }
    LWLockRelease(lock);
  }
}

void file_cache_forget(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to) {
  if (cache == NULL || from >= to) return;
  if (to - from > max_sets())
    forget_many(node, fork, from, to);
  else
    for (BlockNumber block = from; block < to; block++) forget_one(node, fork, block);
}

void file_cache_forget_database(Oid database) {
  if (cache == NULL) return;
  lock_all();
  for (Size i = 0; i < (Size)max_sets() * WAYS; i++)
    if (entries[i].key.node.dbNode == database) clear(&entries[i]);
  for (Size i = 0; i < max_sets(); i++) set_writes[i]++;
  unlock_all();
}

void file_cache_forget_all(void) {
  if (cache == NULL) return;
  lock_all();
  clear_all();
  unlock_all();
}

FileCacheWant file_cache_wants(RelFileNode node, ForkNumber fork, BlockNumber block, FileCacheMiss* miss) {
  Key key = key_of(node, fork, block);
  FileCacheWant want = FILE_CACHE_IS_FULL;
  LWLock* lock;
  Entry* set;

  if (!is_on() || (set = lock_set(&key, LW_SHARED, &lock)) == NULL) return FILE_CACHE_IS_OFF;
  if (find(set, &key) != NULL)
    want = FILE_CACHE_HAS_IT;
  else if (!is_full(set))
    want = FILE_CACHE_WANTS_IT;
  *miss = (FileCacheMiss){number_of(set), set_writes[number_of(set)], true, false};
  LWLockRelease(lock);
  return want;
}

// A set at a time, so that nobody waits for long.
static bool write_map(const char* suffix, XLogRecPtr lsn, bool locked) {
  uint32 sets = pg_atomic_read_u32(&cache->sets);
  CacheMapWriter writer;

  cache_map_begin(&writer, suffix, lsn, sets, pg_atomic_read_u32(&cache->clock));
  for (uint32 set = 0; set < sets; set++) {
    Entry copy[WAYS];
    LWLock* lock = &locks[set % ARGON_FILE_CACHE_PARTITIONS].lock;

    if (locked) LWLockAcquire(lock, LW_SHARED);
    memcpy(copy, &entries[(Size)set * WAYS], sizeof(copy));
    if (locked) LWLockRelease(lock);
    for (uint32 way = 0; way < WAYS; way++)
      if (copy[way].valid != 0) cache_map_add(&writer, set * WAYS + way, &copy[way]);
  }
  return cache_map_end(&writer);
}

bool file_cache_save_list(void) {
  return !is_on() || write_map(CACHE_MAP_LIST, InvalidXLogRecPtr, true);
}

void file_cache_end(XLogRecPtr lsn, bool prewarmed) {
  if (!is_on()) return;
  if (!write_map(CACHE_MAP_EXACT, lsn, false))
    ereport(LOG, (errcode_for_file_access(),
                  errmsg("argon: the map of the local file cache could not be written: %m")));
  else if (prewarmed)
    (void)cache_map_remove(CACHE_MAP_LIST);
}

int64 file_cache_kept(void) {
  return cache == NULL ? 0 : cache->kept;
}

int64 file_cache_pages(void) {
  return cache == NULL ? 0 : pg_atomic_read_u32(&cache->pages);
}

int64 file_cache_size_mb(void) {
  return is_on() ? (int64)(pg_atomic_read_u32(&cache->sets) / SETS_A_STEP) * STEP_MB : 0;
}
