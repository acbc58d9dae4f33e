// Shared memory of a server that has no other processes: one private mapping, and of the parts that
// CreateSharedMemoryAndSemaphores (storage/ipc/ipci.c) makes those that redo functions look at.
#include "walredo.h"

#include <sys/mman.h>
#include <unistd.h>

#include "access/clog.h"
#include "access/commit_ts.h"
#include "access/multixact.h"
#include "access/nbtree.h"
#include "access/subtrans.h"
#include "access/syncscan.h"
#include "access/twophase.h"
#include "access/xlog.h"
#include "access/xlogprefetcher.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker_internals.h"
#include "postmaster/bgwriter.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/pg_sema.h"
#include "storage/pg_shmem.h"
#include "storage/pmsignal.h"
#include "storage/predicate.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/procsignal.h"
#include "storage/sinvaladt.h"
#include "utils/snapmgr.h"

static void reserve_semaphores(int count) {
  char* data_dir = DataDir;

  DataDir = "/";  // only its inode number is asked for
  PGReserveSemaphores(count);
  DataDir = data_dir;
}

void walredo_make_shared_memory(void) {
  int semaphores;
  Size size = CalculateShmemSize(&semaphores);
  PGShmemHeader* header = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (header == MAP_FAILED) ereport(FATAL, (errmsg("argon walredo: no memory for %zu bytes", size)));
  header->creatorPID = getpid();
  header->magic = PGShmemMagic;
  header->totalsize = size;
  header->freeoffset = MAXALIGN(sizeof(PGShmemHeader));
  UsedShmemSegAddr = header;
  InitShmemAccess(header);
  reserve_semaphores(semaphores);
  InitShmemAllocation();
  CreateLWLocks();
  InitShmemIndex();
  XLOGShmemInit();
  XLogPrefetchShmemInit();
  XLogRecoveryShmemInit();
  CLOGShmemInit();
  CommitTsShmemInit();
  SUBTRANSShmemInit();
  MultiXactShmemInit();
  InitBufferPool();
  InitLocks();
  InitPredicateLocks();
  InitProcGlobal();
  CreateSharedProcArray();
  CreateSharedBackendStatus();
  TwoPhaseShmemInit();
  BackgroundWorkerShmemInit();
  CreateSharedInvalidationState();
  PMSignalShmemInit();
  ProcSignalShmemInit();
  CheckpointerShmemInit();
  SnapMgrInit();
  BTreeShmemInit();
  SyncScanShmemInit();
  if (shmem_startup_hook != NULL) shmem_startup_hook();
}
