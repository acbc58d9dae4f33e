#include "wal_ship.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "file_cache.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "prewarm.h"
#include "quota.h"
#include "single_user.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_QUEUED_BYTES (1024 * 1024)
#define LAST_SHIPMENT_MS 30000
#define SIDECAR_GONE_MS 2000
#define HELLO_MS 5000
#define TIMELINE 1  // timeline ids stay 1: a branch is another Argon timeline

bool wal_ship_open(WalShipper* shipper, int timeout_ms, bool* refused) {
  XLogRecPtr from;

  shipper->segment_file = -1;
  if (!sidecar_open(&shipper->link, timeout_ms, refused, &from)) return false;
  shipper->next = Max(from, argon_start_lsn);
  return true;
}

static void close_segment(WalShipper* shipper) {
  if (shipper->segment_file >= 0) close(shipper->segment_file);
  shipper->segment_file = -1;
}

void wal_ship_close(WalShipper* shipper) {
  close_segment(shipper);
  sidecar_close(&shipper->link);
}

static void open_segment(WalShipper* shipper, uint64 segment) {
  char path[MAXPGPATH];

  if (shipper->segment_file >= 0 && shipper->segment == segment) return;
  close_segment(shipper);
  XLogFilePath(path, TIMELINE, segment, wal_segment_size);
  shipper->segment_file = BasicOpenFile(path, O_RDONLY | PG_BINARY);
  shipper->segment = segment;
  if (shipper->segment_file < 0)
    ereport(ERROR, (errcode_for_file_access(),
                    errmsg("argon: WAL segment \"%s\" is needed from %X/%X on: %m", path,
                           LSN_FORMAT_ARGS(shipper->next)),
                    errhint("The endpoint must be started anew from its timeline.")));
}

static void queue_some(WalShipper* shipper, XLogRecPtr upto) {
  static char buffer[SIDECAR_MAX_WAL_BYTES];
  uint32 offset = XLogSegmentOffset(shipper->next, wal_segment_size);
  uint64 segment;
  uint64 n = Min(upto - shipper->next, (uint64)SIDECAR_MAX_WAL_BYTES);
  ssize_t got;

  n = Min(n, (uint64)wal_segment_size - offset);
  XLByteToSeg(shipper->next, segment, wal_segment_size);
  open_segment(shipper, segment);
  got = pread(shipper->segment_file, buffer, n, offset);
  if (got != (ssize_t)n)
    ereport(ERROR, (errcode_for_file_access(),
                    errmsg("argon: could not read WAL at %X/%X: %m", LSN_FORMAT_ARGS(shipper->next))));
  sidecar_queue_wal(&shipper->link, shipper->next, buffer, (int)n);
  shipper->next += n;
}

bool wal_ship_pump(WalShipper* shipper, XLogRecPtr upto) {
  for (;;) {
    if (!sidecar_flush(&shipper->link)) return false;
    if (shipper->next >= upto) break;
    if (shipper->link.out.len - shipper->link.out.cursor > MAX_QUEUED_BYTES) break;
    queue_some(shipper, upto);
  }
  pg_atomic_write_u64(&argon_shared->shipped_lsn, shipper->next);
  return true;
}

static void raise_to(pg_atomic_uint64* at, uint64 lsn) {
  if (pg_atomic_read_u64(at) < lsn) pg_atomic_write_u64(at, lsn);
}

void wal_ship_note_positions(const SidecarPositions* positions) {
  raise_to(&argon_shared->commit_lsn, positions->commit_lsn);
  raise_to(&argon_shared->ps_received_lsn, positions->ps_received_lsn);
  raise_to(&argon_shared->ps_disk_lsn, positions->ps_disk_lsn);
  raise_to(&argon_shared->ps_remote_lsn, positions->ps_remote_lsn);
  quota_note_size(positions->timeline_bytes);
}

void wal_ship_fence(const char* why) {
  pg_atomic_write_u32(&argon_shared->fenced, 1);
  ereport(LOG, (errmsg("argon: this server may not go on and stops at once"), errdetail("%s", why)));
  if (PostmasterPid != 0) kill(PostmasterPid, SIGQUIT);
}

// One round: send, listen, sleep. True when the quorum has everything up to the end.
static bool ship_round(WalShipper* shipper, XLogRecPtr end) {
  SidecarPositions positions;
  struct pollfd wait;

  if (!wal_ship_pump(shipper, end)) return false;
  for (;;) {
    SidecarEvent event = sidecar_next(&shipper->link, &positions);

    if (event == SIDECAR_NOTHING) break;
    if (event == SIDECAR_STOP) wal_ship_fence(shipper->link.problem);
    if (event != SIDECAR_POSITIONS) return false;
    wal_ship_note_positions(&positions);
  }
  if (pg_atomic_read_u64(&argon_shared->commit_lsn) >= end) return true;
  wait = (struct pollfd){.fd = shipper->link.socket, .events = POLLIN};
  if (sidecar_has_output(&shipper->link)) wait.events |= POLLOUT;
  (void)poll(&wait, 1, 100);
  return false;
}

// True when the quorum has it.
static bool ship_the_rest(XLogRecPtr end) {
  TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LAST_SHIPMENT_MS);
  TimestampTz sidecar_gone = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SIDECAR_GONE_MS);
  WalShipper shipper = {.link = {.socket = -1}};

  while (GetCurrentTimestamp() < deadline && pg_atomic_read_u32(&argon_shared->fenced) == 0) {
    bool refused = false;

    if (shipper.link.socket < 0) {
      if (!wal_ship_open(&shipper, HELLO_MS, &refused)) {
        if (refused || GetCurrentTimestamp() >= sidecar_gone) break;
        pg_usleep(50000);  // PostgreSQL 15's postmaster has no latch; its SIGQUIT ends it in any sleep
        continue;
      }
      if (!wal_ship_pump(&shipper, end)) continue;
      sidecar_queue_lsn(&shipper.link, 'C', end);
    }
    if (ship_round(&shipper, end)) {
      wal_ship_close(&shipper);
      return true;
    }
  }
  ereport(LOG,
          (errmsg("argon: the WAL up to the shutdown checkpoint's end %X/%X was not confirmed by the quorum",
                  LSN_FORMAT_ARGS(end)),
           errdetail("%s", shipper.link.problem)));
  return false;
}

// All pages were written before the shutdown checkpoint was logged, and nothing is logged after it. (A server
// that is told to stop at once writes none.)
static bool pages_are_written(XLogRecPtr end) {
  bool crc_ok = false;
  ControlFileData* control = get_controlfile(DataDir, &crc_ok);

  return crc_ok && control->state == DB_SHUTDOWNED && control->checkPointCopy.redo == control->checkPoint &&
         control->checkPoint < end && end - control->checkPoint < XLOG_BLCKSZ;
}

// Children forget the callback when they are forked. Signals are blocked in the postmaster here; the
// sidecar's SIGQUIT must still end it.
static void at_server_exit(int code, Datum arg) {
  sigset_t quit;
  XLogRecPtr end;

  (void)arg;
  if (code != 0) return;
  if (argon_mode == ARGON_STATIC) file_cache_end(argon_static_lsn, prewarm_is_done());
  if (argon_mode != ARGON_PRIMARY || RecoveryInProgress()) return;
  signal(SIGQUIT, SIG_DFL);
  sigemptyset(&quit);
  sigaddset(&quit, SIGQUIT);
  sigprocmask(SIG_UNBLOCK, &quit, NULL);
  single_user_stop_shipping();
  end = GetFlushRecPtr(NULL);
  if (ship_the_rest(end) && pages_are_written(end)) file_cache_end(end, prewarm_is_done());
}

void wal_ship_at_server_exit(void) {
  before_shmem_exit(at_server_exit, 0);
}
