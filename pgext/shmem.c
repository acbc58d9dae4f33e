// The extension's shared memory: one fixed block, the pageserver's address, the last-written LSN table, the
// local-page table, the map of the local file cache, the state of the prewarm.
#include "argon.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "file_cache.h"
#include "last_written_lsn.h"
#include "local_pages.h"
#include "miscadmin.h"
#include "page_address.h"
#include "prewarm.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

ArgonShared* argon_shared;

void argon_request_shared_memory(void) {
  RequestAddinShmemSpace(MAXALIGN(sizeof(ArgonShared)));
  RequestAddinShmemSpace(page_address_shared_size());
  RequestAddinShmemSpace(last_written_lsn_shared_size());
  RequestAddinShmemSpace(local_pages_shared_size());
  RequestAddinShmemSpace(file_cache_shared_size());
  RequestAddinShmemSpace(prewarm_shared_size());
  RequestNamedLWLockTranche("argon_file_cache", ARGON_FILE_CACHE_PARTITIONS);
  RequestNamedLWLockTranche("argon_last_written_lsn", ARGON_LSN_PARTITIONS);
  RequestNamedLWLockTranche("argon_local_pages", ARGON_LOCAL_PARTITIONS);
}

void argon_init_shared_memory(void) {
  bool found;

  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  argon_shared = ShmemInitStruct("argon", sizeof(ArgonShared), &found);
  if (!found) {
    XLogRecPtr start = argon_mode == ARGON_STATIC && !XLogRecPtrIsInvalid(argon_static_lsn) ? argon_static_lsn
                                                                                            : argon_start_lsn;

    pg_atomic_init_u64(&argon_shared->default_lsn, start);
    pg_atomic_init_u64(&argon_shared->least_lsn, start);
    pg_atomic_init_u64(&argon_shared->commit_lsn, 0);
    pg_atomic_init_u64(&argon_shared->shipped_lsn, 0);
    pg_atomic_init_u64(&argon_shared->ps_received_lsn, start);
    pg_atomic_init_u64(&argon_shared->ps_disk_lsn, start);
    pg_atomic_init_u64(&argon_shared->ps_remote_lsn, start);
    pg_atomic_init_u64(&argon_shared->reads_confirmed_us, 0);
    pg_atomic_init_u64(&argon_shared->timeline_bytes, 0);
    pg_atomic_init_u64(&argon_shared->grown_bytes, 0);
    pg_atomic_init_u32(&argon_shared->fenced, 0);
    pg_atomic_init_u32(&argon_shared->shipping_ended, 0);
    pg_atomic_init_u32(&argon_shared->local_generation, 1);
    pg_atomic_init_u32(&argon_shared->stored_pages, 0);
    for (int i = 0; i < ARGON_COUNTERS; i++) pg_atomic_init_u64(&argon_shared->counters[i], 0);
  }
  page_address_init();
  last_written_lsn_init();
  local_pages_init();
  file_cache_init();
  prewarm_init();
  LWLockRelease(AddinShmemInitLock);
}

XLogRecPtr argon_insert_lsn(void) {
  XLogRecPtr lsn;

  if (argon_mode == ARGON_REPLICA) return GetCurrentReplayRecPtr(NULL);
  lsn = GetXLogInsertRecPtr();
  if (XLogSegmentOffset(lsn, wal_segment_size) == SizeOfXLogLongPHD) return lsn - SizeOfXLogLongPHD;
  if (lsn % XLOG_BLCKSZ == SizeOfXLogShortPHD) return lsn - SizeOfXLogShortPHD;
  return lsn;
}
