#include "local_pages.h"

#include "common/hashfn.h"
#include "page_class.h"
#include "storage/shmem.h"
#include "stub.h"
#include "utils/hsearch.h"

#define CHUNK_BLOCKS 1024
#define CHUNK_WORDS (CHUNK_BLOCKS / 64)
#define MAX_CHUNKS 16384

typedef struct ChunkKey {
  RelFileNode node;
  uint32 fork;
  uint32 number;
} ChunkKey;

typedef struct Chunk {
  ChunkKey key;
  uint32 reasons;
  uint64 next_xid;  // the highest nextXid at which a page was kept
  uint64 valid[CHUNK_WORDS];
  uint64 stored[CHUNK_WORDS];  // a subset of valid
  uint64 image[CHUNK_WORDS];   // another one, apart from it
} Chunk;

static HTAB* chunks;
static LWLockPadded* locks;

Size local_pages_shared_size(void) {
  return hash_estimate_size(MAX_CHUNKS, sizeof(Chunk));
}

void local_pages_init(void) {
  HASHCTL info = {
      .keysize = sizeof(ChunkKey), .entrysize = sizeof(Chunk), .num_partitions = ARGON_LOCAL_PARTITIONS};

  chunks = ShmemInitHash("argon local pages", MAX_CHUNKS, MAX_CHUNKS, &info,
                         HASH_ELEM | HASH_BLOBS | HASH_PARTITION | HASH_FIXED_SIZE);
  locks = GetNamedLWLockTranche("argon_local_pages");
}

static ChunkKey chunk_key(RelFileNode node, ForkNumber fork, BlockNumber block) {
  return (ChunkKey){node, (uint32)fork, block / CHUNK_BLOCKS};
}

static LWLock* chunk_lock(uint32 hash) {
  return &locks[hash % ARGON_LOCAL_PARTITIONS].lock;
}

static LocalState state_in(const Chunk* chunk, uint32 word, uint64 bit) {
  if (!(chunk->valid[word] & bit)) return LOCAL_NONE;
  if (chunk->stored[word] & bit) return LOCAL_STORED;
  return chunk->image[word] & bit ? LOCAL_IMAGE : LOCAL_ZERO;
}

LocalState local_pages_state(RelFileNode node, ForkNumber fork, BlockNumber block) {
  ChunkKey key = chunk_key(node, fork, block);
  uint32 hash = get_hash_value(chunks, &key);
  uint64 bit = UINT64CONST(1) << (block % 64);
  uint32 word = block % CHUNK_BLOCKS / 64;
  LocalState state = LOCAL_NONE;
  Chunk* chunk;

  LWLockAcquire(chunk_lock(hash), LW_SHARED);
  chunk = hash_search_with_hash_value(chunks, &key, hash, HASH_FIND, NULL);
  if (chunk != NULL) state = state_in(chunk, word, bit);
  LWLockRelease(chunk_lock(hash));
  return state;
}

static bool chunk_is_empty(const Chunk* chunk) {
  for (int i = 0; i < CHUNK_WORDS; i++)
    if (chunk->valid[i] != 0) return false;
  return true;
}

static int count_stored(const Chunk* chunk) {
  int n = 0;

  for (int i = 0; i < CHUNK_WORDS; i++) n += __builtin_popcountll(chunk->stored[i]);
  return n;
}

// REQUIRES: the chunk's lock, exclusively.
static void remove_chunk(Chunk* chunk) {
  ChunkKey key = chunk->key;

  pg_atomic_fetch_sub_u32(&argon_shared->stored_pages, (uint32)count_stored(chunk));
  hash_search(chunks, &key, HASH_REMOVE, NULL);
}

static bool chunk_expired(const Chunk* chunk, uint64 oldest_xid, uint64 oldest_snapshot) {
  if (chunk->reasons & (LOCAL_UNLOGGED | LOCAL_SEQUENCE | LOCAL_MAP)) return false;
  if ((chunk->reasons & LOCAL_COMMAND_IDS) && oldest_xid < chunk->next_xid) return false;
  // A vacuum that began just before the page was kept may have a snapshot at next_xid itself.
  if ((chunk->reasons & LOCAL_CYCLE_ID) && oldest_snapshot <= chunk->next_xid) return false;
  return true;
}

static void lock_all(void) {
  for (int i = 0; i < ARGON_LOCAL_PARTITIONS; i++) LWLockAcquire(&locks[i].lock, LW_EXCLUSIVE);
}

static void unlock_all(void) {
  for (int i = ARGON_LOCAL_PARTITIONS - 1; i >= 0; i--) LWLockRelease(&locks[i].lock);
}

// Under the chunk's lock, so that nobody can mark and store one of the blocks meanwhile.
static void punch_stored(const Chunk* chunk) {
  for (uint32 i = 0; i < CHUNK_BLOCKS; i++)
    if (chunk->stored[i / 64] & (UINT64CONST(1) << (i % 64)))
      stub_punch(chunk->key.node, (ForkNumber)chunk->key.fork, chunk->key.number * CHUNK_BLOCKS + i);
}

// Lets every chunk go that nobody can need any more.
static void sweep(void) {
  uint64 oldest_xid = oldest_running_xid();
  uint64 oldest_snapshot = oldest_xid_or_snapshot();
  HASH_SEQ_STATUS scan;
  Chunk* chunk;

  lock_all();
  hash_seq_init(&scan, chunks);
  while ((chunk = hash_seq_search(&scan)) != NULL)
    if (chunk_expired(chunk, oldest_xid, oldest_snapshot)) {
      punch_stored(chunk);
      remove_chunk(chunk);
    }
  unlock_all();
}

static bool try_mark(const ChunkKey* key, BlockNumber block, LocalState state, LocalReason reason,
                     uint64 next_xid) {
  uint32 hash = get_hash_value(chunks, key);
  uint64 bit = UINT64CONST(1) << (block % 64);
  uint32 word = block % CHUNK_BLOCKS / 64;
  bool found;
  Chunk* chunk;

  LWLockAcquire(chunk_lock(hash), LW_EXCLUSIVE);
  chunk = hash_search_with_hash_value(chunks, key, hash, HASH_ENTER_NULL, &found);
  if (chunk != NULL) {
    if (!found) memset((char*)chunk + sizeof(ChunkKey), 0, sizeof(Chunk) - sizeof(ChunkKey));
    if (state == LOCAL_STORED && !(chunk->stored[word] & bit)) {
      chunk->stored[word] |= bit;
      pg_atomic_fetch_add_u32(&argon_shared->stored_pages, 1);
    } else if (state != LOCAL_STORED && (chunk->stored[word] & bit)) {
      chunk->stored[word] &= ~bit;
      pg_atomic_fetch_sub_u32(&argon_shared->stored_pages, 1);
    }
    if (state == LOCAL_IMAGE)
      chunk->image[word] |= bit;
    else
      chunk->image[word] &= ~bit;
    chunk->valid[word] |= bit;
    chunk->reasons |= reason;
    chunk->next_xid = Max(chunk->next_xid, next_xid);
  }
  LWLockRelease(chunk_lock(hash));
  return chunk != NULL;
}

// A sequence is one page, for which no image will do (see evict.c): it is kept beyond the bound.
static bool over_bound(LocalState state, LocalReason reason) {
  return state == LOCAL_STORED && reason != LOCAL_SEQUENCE &&
         pg_atomic_read_u32(&argon_shared->stored_pages) >= (uint32)argon_max_local_pages;
}

bool local_pages_mark(RelFileNode node, ForkNumber fork, BlockNumber block, LocalState state,
                      LocalReason reason, uint64 next_xid) {
  ChunkKey key = chunk_key(node, fork, block);

  if (over_bound(state, reason) && local_pages_state(node, fork, block) != LOCAL_STORED) {
    sweep();
    if (over_bound(state, reason)) {
      local_pages_clear(node, fork, block);
      return false;
    }
  }
  if (try_mark(&key, block, state, reason, next_xid)) return true;
  sweep();
  return try_mark(&key, block, state, reason, next_xid);
}

// Clears [from, to) of one chunk; to - from is at most CHUNK_BLOCKS and stays inside it.
static LocalState clear_in_chunk(const ChunkKey* key, uint32 from, uint32 to) {
  uint32 hash = get_hash_value(chunks, key);
  LocalState last = LOCAL_NONE;
  bool present;
  Chunk* chunk;

  LWLockAcquire(chunk_lock(hash), LW_SHARED);
  present = hash_search_with_hash_value(chunks, key, hash, HASH_FIND, NULL) != NULL;
  LWLockRelease(chunk_lock(hash));
  if (!present) return LOCAL_NONE;

  LWLockAcquire(chunk_lock(hash), LW_EXCLUSIVE);
  chunk = hash_search_with_hash_value(chunks, key, hash, HASH_FIND, NULL);
  if (chunk != NULL) {
    for (uint32 i = from; i < to; i++) {
      uint64 bit = UINT64CONST(1) << (i % 64);

      if (!(chunk->valid[i / 64] & bit)) continue;
      last = state_in(chunk, i / 64, bit);
      if (last == LOCAL_STORED) pg_atomic_fetch_sub_u32(&argon_shared->stored_pages, 1);
      chunk->valid[i / 64] &= ~bit;
      chunk->stored[i / 64] &= ~bit;
      chunk->image[i / 64] &= ~bit;
    }
    if (chunk_is_empty(chunk)) remove_chunk(chunk);
  }
  LWLockRelease(chunk_lock(hash));
  return last;
}

LocalState local_pages_clear(RelFileNode node, ForkNumber fork, BlockNumber block) {
  ChunkKey key = chunk_key(node, fork, block);

  return clear_in_chunk(&key, block % CHUNK_BLOCKS, block % CHUNK_BLOCKS + 1);
}

void local_pages_clear_range(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to) {
  while (from < to) {
    ChunkKey key = chunk_key(node, fork, from);
    uint64 chunk_end = ((uint64)key.number + 1) * CHUNK_BLOCKS;
    BlockNumber end = (BlockNumber)Min((uint64)to, chunk_end);

    clear_in_chunk(&key, from % CHUNK_BLOCKS, (end - 1) % CHUNK_BLOCKS + 1);
    from = end;
  }
}

void local_pages_forget_database(Oid database, Oid tablespace) {
  HASH_SEQ_STATUS scan;
  Chunk* chunk;

  lock_all();
  hash_seq_init(&scan, chunks);
  while ((chunk = hash_seq_search(&scan)) != NULL)
    if (chunk->key.node.dbNode == database &&
        (!OidIsValid(tablespace) || chunk->key.node.spcNode == tablespace))
      remove_chunk(chunk);
  unlock_all();
}

// The server has copied the files. Room for one more entry is needed while an entry moves; an entry
// that finds none is dropped, which costs a sequence at most the values its WAL runs ahead.
void local_pages_move_database(Oid database, Oid from, Oid to) {
  HASH_SEQ_STATUS scan;
  Chunk* chunk;

  lock_all();
  hash_seq_init(&scan, chunks);
  while ((chunk = hash_seq_search(&scan)) != NULL) {
    ChunkKey old_key = chunk->key;
    ChunkKey new_key = old_key;

    if (old_key.node.dbNode != database || old_key.node.spcNode != from) continue;
    new_key.node.spcNode = to;
    if (!hash_update_hash_key(chunks, chunk, &new_key)) remove_chunk(chunk);
  }
  unlock_all();
}
