#include "last_written_lsn.h"

#include "common/hashfn.h"
#include "storage/shmem.h"

#define WAYS 4

typedef struct Key {
  RelFileNode node;
  uint32 fork;
  BlockNumber block;
} Key;

typedef struct Slot {
  Key key;
  XLogRecPtr lsn;  // 0: free
} Slot;

static Slot* slots;
static LWLockPadded* locks;

static uint32 set_count(void) {
  return (uint32)argon_last_written_cache_size / WAYS;
}

Size last_written_lsn_shared_size(void) {
  return MAXALIGN(mul_size(set_count() * WAYS, sizeof(Slot)));
}

void last_written_lsn_init(void) {
  bool found;

  slots = ShmemInitStruct("argon last-written LSNs", last_written_lsn_shared_size(), &found);
  if (!found) memset(slots, 0, last_written_lsn_shared_size());
  locks = GetNamedLWLockTranche("argon_last_written_lsn");
}

static Slot* find_set(const Key* key, LWLock** lock) {
  uint32 set = hash_bytes((const unsigned char*)key, sizeof(*key)) % set_count();

  *lock = &locks[set % ARGON_LSN_PARTITIONS].lock;
  return &slots[(Size)set * WAYS];
}

static void raise(pg_atomic_uint64* bound, XLogRecPtr lsn) {
  uint64 seen = pg_atomic_read_u64(bound);

  while (seen < lsn && !pg_atomic_compare_exchange_u64(bound, &seen, lsn)) {
  }
}

void last_written_lsn_raise_default(XLogRecPtr lsn) {
  raise(&argon_shared->least_lsn, lsn);
  raise(&argon_shared->default_lsn, lsn);
}

void last_written_lsn_set(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr lsn) {
  Key key = {node, (uint32)fork, block};
  LWLock* lock;
  Slot* set = find_set(&key, &lock);
  Slot* victim = &set[0];

  LWLockAcquire(lock, LW_EXCLUSIVE);
  for (int i = 0; i < WAYS; i++) {
    if (set[i].lsn != 0 && memcmp(&set[i].key, &key, sizeof(key)) == 0) {
      set[i].lsn = Max(set[i].lsn, lsn);
      LWLockRelease(lock);
      return;
    }
    if (set[i].lsn < victim->lsn) victim = &set[i];
  }
  if (victim->lsn != 0) raise(&argon_shared->default_lsn, victim->lsn);
  victim->key = key;
  victim->lsn = lsn;
  LWLockRelease(lock);
}

XLogRecPtr last_written_lsn_get(RelFileNode node, ForkNumber fork, BlockNumber block) {
  Key key = {node, (uint32)fork, block};
  LWLock* lock;
  Slot* set = find_set(&key, &lock);
  XLogRecPtr lsn = InvalidXLogRecPtr;

  LWLockAcquire(lock, LW_SHARED);
  for (int i = 0; i < WAYS; i++)
    if (set[i].lsn != 0 && memcmp(&set[i].key, &key, sizeof(key)) == 0) lsn = set[i].lsn;
  if (lsn == InvalidXLogRecPtr) lsn = pg_atomic_read_u64(&argon_shared->default_lsn);
  LWLockRelease(lock);
  return Max(lsn, pg_atomic_read_u64(&argon_shared->least_lsn));
}
