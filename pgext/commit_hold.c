// From pre-commit to the end of the wait for the quorum, cancel and terminate are held back
// (DESIGN 5.7). Stock PostgreSQL gives up a synchronous wait on either and makes the transaction
// visible, though it may be lost.
//
// SIGINT and SIGTERM are blocked, after a last look at what came before; statement and other
// timeouts arrive as SIGINT and wait, too. A callback behind the commit is the second net: whatever
// let the wait end early (a changed setting), nothing is acknowledged before the quorum has it.
#include "argon.h"

#include <signal.h>

#include "access/twophase.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "single_user.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

static bool held;
static sigset_t mask_before;
static bool wrote_wal;  // as the server asks it: a transaction on temporary tables only waits for nobody

void argon_hold_commit(void) {
  sigset_t both;

  if (held || !IsUnderPostmaster) return;
  sigemptyset(&both);
  sigaddset(&both, SIGINT);
  sigaddset(&both, SIGTERM);
  sigprocmask(SIG_BLOCK, &both, &mask_before);
  held = true;
  argon_count(ARGON_COMMITS_HELD);
  // What was pending before is served now; nothing new can come in behind this.
  PG_TRY();
  {
    CHECK_FOR_INTERRUPTS();
  }
  PG_CATCH();
  {
    argon_release_commit();
    PG_RE_THROW();
  }
  PG_END_TRY();
}

void argon_release_commit(void) {
  if (!held) return;
  held = false;
  sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

static bool quorum_has(XLogRecPtr lsn) {
  return pg_atomic_read_u64(&argon_shared->commit_lsn) >= lsn &&
         pg_atomic_read_u32(&argon_shared->fenced) == 0;
}

// REQUIRES: interrupts held off, SIGINT and SIGTERM blocked. Only the end of the server ends it early.
static void wait_for_quorum(XLogRecPtr lsn) {
  if (single_user_ships()) single_user_wait_for_quorum(lsn);
  if (quorum_has(lsn)) return;
  argon_count(ARGON_SECOND_NET_WAITS);
  while (!quorum_has(lsn)) (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, PG_WAIT_EXTENSION);
}

static bool somebody_ships(void) {
  return IsUnderPostmaster || single_user_ships();
}

static void after_commit(void) {
  if (wrote_wal && synchronous_commit > SYNCHRONOUS_COMMIT_OFF && somebody_ships())
    wait_for_quorum(XactLastCommitEnd);
  wrote_wal = false;
}

// The LSN of a prepare or of the commit of a prepared transaction is not told; it was flushed.
void argon_after_prepared(void) {
  if (synchronous_commit > SYNCHRONOUS_COMMIT_OFF && somebody_ships() && argon_mode == ARGON_PRIMARY)
    wait_for_quorum(GetFlushRecPtr(NULL));
}

static void on_transaction(XactEvent event, void* arg) {
  (void)arg;
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      wrote_wal = TransactionIdIsValid(GetTopTransactionIdIfAny()) && XactLastRecEnd != InvalidXLogRecPtr;
      if (wrote_wal) argon_slow_down();
      // The server waits for nobody otherwise, unless NOTIFY brings an id yet; and a notification is not
      // durable.
      if (TransactionIdIsValid(GetTopTransactionIdIfAny())) argon_hold_commit();
      break;
    case XACT_EVENT_COMMIT:
      after_commit();
      argon_release_commit();
      break;
    case XACT_EVENT_PREPARE:
      argon_after_prepared();
      argon_release_commit();
      break;
    case XACT_EVENT_ABORT:
      wrote_wal = false;
      argon_release_commit();
      break;
    default:
      break;
  }
}

void argon_install_commit_hold(void) {
  if (argon_mode == ARGON_PRIMARY) RegisterXactCallback(on_transaction, NULL);
}
