// Slows writers down while the pageserver is behind (DESIGN 5.8): at relation extension, read
// misses, the start of an executor run, and before the commit of a transaction that wrote.
//
// Evictions by backends happen under the buffer's lock, where nobody may sleep; the read that caused
// the eviction is slowed down instead. A lightweight lock holds off interrupts, so a count of zero
// says that none is held.
#include "argon.h"

#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "portability/instr_time.h"
#include "single_user.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#define STEP_MS 10
#define MAX_WAIT_MS 1000  // at one point; the next point waits again

static ExecutorRun_hook_type next_executor_run;

static bool too_far_behind(void) {
  // What this transaction has only inserted yet is on its way, too: the WAL writer flushes it.
  XLogRecPtr written = Max(pg_atomic_read_u64(&argon_shared->shipped_lsn), XactLastRecEnd);
  XLogRecPtr received = pg_atomic_read_u64(&argon_shared->ps_received_lsn);
  XLogRecPtr on_disk = pg_atomic_read_u64(&argon_shared->ps_disk_lsn);

  if (argon_max_write_lag_mb > 0 && written > received + ((uint64)argon_max_write_lag_mb << 20)) return true;
  return argon_max_flush_lag_mb > 0 && written > on_disk + ((uint64)argon_max_flush_lag_mb << 20);
}

void argon_slow_down(void) {
  bool alone = single_user_ships();

  if (argon_mode != ARGON_PRIMARY || InterruptHoldoffCount > 0 || CritSectionCount > 0) return;
  if (!IsUnderPostmaster && !alone) return;
  if (AmCheckpointerProcess() || AmBackgroundWriterProcess() || !too_far_behind()) return;
  for (int waited = 0; waited < MAX_WAIT_MS && too_far_behind(); waited += STEP_MS) {
    if (alone)
      single_user_exchange(STEP_MS);
    else
      (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, STEP_MS, PG_WAIT_EXTENSION);
    pg_atomic_fetch_add_u64(&argon_shared->counters[ARGON_BACKPRESSURE_US], STEP_MS * 1000);
    CHECK_FOR_INTERRUPTS();
  }
}

static void on_executor_run(QueryDesc* query, ScanDirection direction, uint64 count, bool execute_once) {
  if (query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE) argon_slow_down();
  if (next_executor_run != NULL)
    next_executor_run(query, direction, count, execute_once);
  else
    standard_ExecutorRun(query, direction, count, execute_once);
}

void argon_install_backpressure(void) {
  next_executor_run = ExecutorRun_hook;
  ExecutorRun_hook = on_executor_run;
}
