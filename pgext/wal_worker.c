// The background worker that ships WAL and is the synchronous standby `argon` that commits wait for.
//
// It takes a walsender's place in shared memory instead of logging in as a replication client, since
// a login reads catalogs, which may wait for the very WAL it should carry. It confirms as flushed
// what a quorum of safekeepers has, and as applied what the pageserver has.
//
// When the server stops, all background workers are told to end before backends have; this one
// stays until no backend is left whose commit might wait for it. The shutdown checkpoint, written
// after that, is shipped by the postmaster (wal_ship.c).
//
// Commits go in groups: while WAL that was shipped is not committed, what is little more waits for that, or
// for HOLD_MS, and backends do not wake the worker meanwhile. Each shipment wakes five processes more: the
// sidecar, three safekeepers, the pageserver.
#define _GNU_SOURCE
#include "argon.h"

#include <dlfcn.h>
#include <signal.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "file_cache.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "read_lease.h"
#include "replication/slot.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "wal_ship.h"

#define HELLO_MS 5000
#define KEEPALIVE_MS 1000
#define FIRST_BACK_OFF_MS 50
#define LAST_BACK_OFF_MS 1000
#define HOLD_MS 1
#define HOLD_BYTES (32 * 1024)

PGDLLEXPORT void argon_wal_worker_main(Datum arg);

static WalShipper shipper = {.link = {.socket = -1}, .segment_file = -1};
static int back_off_ms = FIRST_BACK_OFF_MS;
static uint64 reads_asked_us;  // 0: not over this link
static TimestampTz last_shipment;
static bool holding;  // more WAL, as decided by the last exchange()
// Latch, postmaster, and the link's socket. Made once a link: to make one takes more system calls than to
// wait.
static WaitEventSet* wait_set = NULL;
static int latch_position, socket_position;

// The slot keeps WAL that the quorum does not have. The base backup may have brought it.
static void hold_slot(void) {
  if (SearchNamedReplicationSlot(ARGON_SLOT, true) != NULL) {
    ReplicationSlotAcquire(ARGON_SLOT, true);
    return;
  }
  ReplicationSlotCreate(ARGON_SLOT, false, RS_PERSISTENT, false);
  SpinLockAcquire(&MyReplicationSlot->mutex);
  MyReplicationSlot->data.restart_lsn = argon_start_lsn;
  SpinLockRelease(&MyReplicationSlot->mutex);
  ReplicationSlotMarkDirty();
  ReplicationSlotsComputeRequiredLSN();
  ReplicationSlotSave();
}

static void advance_slot(XLogRecPtr commit_lsn) {
  XLogRecPtr keep = commit_lsn - XLogSegmentOffset(commit_lsn, wal_segment_size);
  bool moved;

  SpinLockAcquire(&MyReplicationSlot->mutex);
  moved = MyReplicationSlot->data.restart_lsn < keep;
  if (moved) MyReplicationSlot->data.restart_lsn = keep;
  SpinLockRelease(&MyReplicationSlot->mutex);
  if (!moved) return;
  ReplicationSlotMarkDirty();
  ReplicationSlotsComputeRequiredLSN();
}

static void take_standby_place(void) {
  SetConfigOption("application_name", "argon", PGC_USERSET, PGC_S_OVERRIDE);
  am_walsender = true;
  InitWalSender();
  SyncRepInitConfig();
  SpinLockAcquire(&MyWalSnd->mutex);
  MyWalSnd->state = WALSNDSTATE_STREAMING;
  SpinLockRelease(&MyWalSnd->mutex);
}

// What commits wait for. Nothing beyond what this server has flushed itself can be meant for it.
static void confirm(XLogRecPtr flushed) {
  XLogRecPtr commit = Min(pg_atomic_read_u64(&argon_shared->commit_lsn), flushed);
  XLogRecPtr applied = Min(pg_atomic_read_u64(&argon_shared->ps_received_lsn), commit);

  if (pg_atomic_read_u32(&argon_shared->fenced) != 0) return;
  SpinLockAcquire(&MyWalSnd->mutex);
  MyWalSnd->sentPtr = shipper.next;
  MyWalSnd->write = commit;  // remote_write, too, means the quorum
  MyWalSnd->flush = commit;
  MyWalSnd->apply = applied;
  MyWalSnd->replyTime = GetCurrentTimestamp();
  SpinLockRelease(&MyWalSnd->mutex);
  SyncRepReleaseWaiters();
  advance_slot(commit);
}

static void make_wait_set(void) {
  wait_set = CreateWaitEventSet(TopMemoryContext, 3);
  latch_position = AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
  AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
  socket_position = -1;
  if (shipper.link.socket >= 0)
    socket_position = AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, shipper.link.socket, NULL, NULL);
}

static void close_link(void) {
  wal_ship_close(&shipper);
  if (wait_set != NULL) FreeWaitEventSet(wait_set);
  wait_set = NULL;
  holding = false;
}

static void connect_to_sidecar(void) {
  bool refused = false;

  close_link();
  if (wal_ship_open(&shipper, HELLO_MS, &refused)) {
    back_off_ms = FIRST_BACK_OFF_MS;
    reads_asked_us = 0;
    return;
  }
  if (refused) {
    wal_ship_fence(shipper.link.problem);
    return;
  }
  if (back_off_ms == FIRST_BACK_OFF_MS) ereport(LOG, (errmsg("argon: %s", shipper.link.problem)));
  back_off_ms = Min(back_off_ms * 2, LAST_BACK_OFF_MS);
}

static bool listen_to_sidecar(void) {
  for (;;) {
    SidecarPositions positions;

    switch (sidecar_next(&shipper.link, &positions)) {
      case SIDECAR_NOTHING:
        return true;
      case SIDECAR_POSITIONS:
        wal_ship_note_positions(&positions);
        break;
      case SIDECAR_STOP:
        wal_ship_fence(shipper.link.problem);
        return true;
      case SIDECAR_BROKEN:
        return false;
    }
  }
}

static bool is_to_wait(XLogRecPtr flushed, TimestampTz now) {
  return shipper.next > pg_atomic_read_u64(&argon_shared->commit_lsn) &&
         flushed - shipper.next < HOLD_BYTES && !TimestampDifferenceExceeds(last_shipment, now, HOLD_MS);
}

static void exchange(XLogRecPtr flushed, TimestampTz* last_keepalive) {
  TimestampTz now = GetCurrentTimestamp();
  XLogRecPtr before = shipper.next;

  read_lease_ask(&shipper.link, &reads_asked_us);
  if (!listen_to_sidecar() || !wal_ship_pump(&shipper, is_to_wait(flushed, now) ? before : flushed)) {
    ereport(LOG, (errmsg("argon: %s", shipper.link.problem)));
    close_link();
    return;
  }
  confirm(flushed);
  if (shipper.next != before) {
    *last_keepalive = last_shipment = now;
  } else if (TimestampDifferenceExceeds(*last_keepalive, now, KEEPALIVE_MS)) {
    sidecar_queue_lsn(&shipper.link, 'K', flushed);
    *last_keepalive = now;
  }
  holding = is_to_wait(shipper.next, now);
}

static bool is_walsender(pid_t pid) {
  for (int i = 0; i < max_wal_senders; i++) {
    WalSnd* walsnd = &WalSndCtl->walsnds[i];
    pid_t its;

    SpinLockAcquire(&walsnd->mutex);
    its = walsnd->pid;
    SpinLockRelease(&walsnd->mutex);
    if (its == pid) return true;
  }
  return false;
}

// Backends of a database, autovacuum and parallel workers: whoever may commit. Walsenders outlive
// the checkpointer and commit nothing.
static bool backends_are_left(void) {
  for (int i = 0; i < MaxBackends; i++) {
    volatile PGPROC* proc = &ProcGlobal->allProcs[i];
    pid_t pid = proc->pid;

    // A PGPROC keeps its last owner's pid; the array of running backends knows whether it lives.
    if (pid != 0 && pid != MyProcPid && OidIsValid(proc->databaseId) && BackendPidGetProc(pid) != NULL &&
        !is_walsender(pid))
      return true;
  }
  return false;
}

static void wait_for_work(void) {
  bool linked = shipper.link.socket >= 0;
  long ms = linked ? KEEPALIVE_MS : back_off_ms;
  WaitEvent event;

  if (ShutdownRequestPending) ms = Min(ms, 20);
  if (linked && read_lease_interval_ms() != 0) ms = Min(ms, read_lease_interval_ms());
  if (holding) ms = HOLD_MS;
  if (wait_set == NULL) make_wait_set();
  if (socket_position >= 0)
    ModifyWaitEvent(wait_set, socket_position,
                    WL_SOCKET_READABLE | (sidecar_has_output(&shipper.link) ? WL_SOCKET_WRITEABLE : 0), NULL);
  ModifyWaitEvent(wait_set, latch_position, WL_LATCH_SET, holding ? NULL : MyLatch);
  (void)WaitEventSetWait(wait_set, ms, &event, 1, PG_WAIT_EXTENSION);
  if (!holding) ResetLatch(MyLatch);
}

void argon_wal_worker_main(Datum arg) {
  TimestampTz last_keepalive = 0;

  (void)arg;
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  MemoryContextSwitchTo(TopMemoryContext);
  take_standby_place();
  hold_slot();
  while (!ShutdownRequestPending || backends_are_left()) {
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
      SyncRepInitConfig();
      file_cache_resize();
    }
    if (shipper.link.socket < 0 && pg_atomic_read_u32(&argon_shared->fenced) == 0) connect_to_sidecar();
    if (shipper.link.socket >= 0) exchange(GetFlushRecPtr(NULL), &last_keepalive);
    wait_for_work();
  }
  close_link();
  pg_atomic_write_u32(&argon_shared->shipping_ended, 1);
  proc_exit(0);
}

// The server loads the worker's function by the library's name, which must be the one it was loaded
// by; a path that is too long for the field is left to dynamic_library_path.
void argon_library_name(char* out) {
  Dl_info info;

  strlcpy(out, "argon", BGW_MAXLEN);
  if (dladdr((void*)argon_wal_worker_main, &info) != 0 && strlen(info.dli_fname) < BGW_MAXLEN)
    strlcpy(out, info.dli_fname, BGW_MAXLEN);
}

void argon_register_wal_worker(void) {
  BackgroundWorker worker = {0};

  if (argon_mode != ARGON_PRIMARY) return;
  strlcpy(worker.bgw_name, "argon WAL worker", BGW_MAXLEN);
  strlcpy(worker.bgw_type, "argon WAL worker", BGW_MAXLEN);
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = 1;
  argon_library_name(worker.bgw_library_name);
  strlcpy(worker.bgw_function_name, "argon_wal_worker_main", BGW_MAXLEN);
  RegisterBackgroundWorker(&worker);
}
