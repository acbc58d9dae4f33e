#include "read_lease.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "single_user.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#define LOOK_MS 10
#define LONGEST_PATIENCE_MS 5000

static ExecutorStart_hook_type next_executor_start;

static uint64 now_us(void) {
  instr_time now;

  INSTR_TIME_SET_CURRENT(now);
  return INSTR_TIME_GET_MICROSEC(now);
}

int read_lease_interval_ms(void) {
  if (argon_mode != ARGON_PRIMARY || argon_read_lease_ms == 0) return 0;
  return Max(argon_read_lease_ms / READ_LEASE_ASKS, 1);
}

void read_lease_ask(SidecarLink* link, uint64* asked_us) {
  int interval = read_lease_interval_ms();
  uint64 now;

  if (interval == 0) return;
  now = now_us();
  if (*asked_us != 0 && now - *asked_us < (uint64)interval * 1000) return;
  sidecar_queue_reads_question(link, now, (uint32)Min(interval, LONGEST_PATIENCE_MS));
  *asked_us = now;
}

void read_lease_confirmed(uint64 asked_us) {
  if (pg_atomic_read_u64(&argon_shared->reads_confirmed_us) < asked_us)
    pg_atomic_write_u64(&argon_shared->reads_confirmed_us, asked_us);
}

static bool holds(void) {
  uint64 confirmed = pg_atomic_read_u64(&argon_shared->reads_confirmed_us);

  return confirmed != 0 && now_us() - confirmed <= (uint64)argon_read_lease_ms * 1000;
}

static bool wanted(void) {
  if (argon_mode != ARGON_PRIMARY || argon_read_lease_ms == 0 || IsParallelWorker()) return false;
  return IsUnderPostmaster || single_user_ships();
}

void read_lease_wait(void) {
  if (!wanted() || holds()) return;
  argon_count(ARGON_READ_LEASE_WAITS);
  while (!holds()) {
    CHECK_FOR_INTERRUPTS();
    if (single_user_ships()) {
      single_user_confirm_reads();
      continue;
    }
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    if (argon_read_lease_ms == 0) return;  // turned off meanwhile
  }
}

static void on_executor_start(QueryDesc* query, int flags) {
  read_lease_wait();
  if (next_executor_start != NULL)
    next_executor_start(query, flags);
  else
    standard_ExecutorStart(query, flags);
}

void read_lease_install(void) {
  next_executor_start = ExecutorStart_hook;
  ExecutorStart_hook = on_executor_start;
}
