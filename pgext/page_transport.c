#include "page_transport.h"

#include <libpq-fe.h>

#include "miscadmin.h"
#include "page_address.h"
#include "pgstat.h"
#include "postmaster/startup.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#define FIRST_BACK_OFF_MS 10
#define LAST_BACK_OFF_MS 1000
#define LOG_AFTER_FAILURES 5
#define STARTUP_LOOKS_UP_MS 1000

static PGconn* connection;
static bool ready;                        // in COPY BOTH
static char address[PAGE_ADDRESS_BYTES];  // of the connection, or of the last try
static uint32 address_version;            // of page_address_get()
static int failures;                      // in a row

// Made anew with the connection and where the process got another latch; its places are in this order.
static WaitEventSet* events;
static Latch* events_latch;
enum { EVENT_LATCH, EVENT_SOCKET };

static void forget_events(void) {
  if (events != NULL) FreeWaitEventSet(events);
  events = NULL;
}

void page_transport_close(void) {
  forget_events();
  if (connection != NULL) PQfinish(connection);
  connection = NULL;
  ready = false;
}

static char* connection_problem(void) {
  char* text = pstrdup(connection == NULL ? "out of memory" : PQerrorMessage(connection));
  size_t n = strlen(text);

  while (n > 0 && text[n - 1] == '\n') text[--n] = '\0';
  return n > 0 ? text : pstrdup("connection closed");
}

bool page_transport_moved(void) {
  return !page_address_is(address_version);
}

// Closes the connection and says why.
static bool failed(int64 deadline, char** why) {
  if (argon_monotonic_ms() >= deadline)
    *why = psprintf("No answer within argon.pageserver_timeout (%d s) from \"%s\": %s",
                    argon_pageserver_timeout_s, address, connection_problem());
  else if (page_transport_moved())
    *why = psprintf("The pageserver is at \"%s\" no more.", address);
  else
    *why = psprintf("Connection to \"%s\": %s", address, connection_problem());
  page_transport_close();
  return false;
}

// What a wait must look after. The startup process of a replica has a latch of its own for news, which we do
// not wait for, and interrupts of its own.
static void look_after_interrupts(void) {
  if (AmStartupProcess()) HandleStartupProcInterrupts();
  CHECK_FOR_INTERRUPTS();
}

static long wait_ms(int64 deadline) {
  long ms = (long)(deadline - argon_monotonic_ms());

  return AmStartupProcess() ? Min(ms, STARTUP_LOOKS_UP_MS) : ms;
}

// Waits for the socket. False when the deadline has passed, or the pageserver is somewhere else: the signal
// that tells of that sets the latch. A latch set meanwhile for somebody else is set again by the caller.
static bool wait_connecting(int wanted, int64 deadline, bool* latch_was_set) {
  long ms = wait_ms(deadline);
  int rc;

  if (ms <= 0 || page_transport_moved()) return false;
  rc = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | wanted,
                         PQsocket(connection), ms, PG_WAIT_EXTENSION);
  if (rc & WL_LATCH_SET) {
    ResetLatch(MyLatch);
    *latch_was_set = true;
  }
  look_after_interrupts();
  return true;
}

// The same on an open connection, whose socket stays the same: one system call instead of five.
static bool wait_ready(int wanted, int64 deadline, bool* latch_was_set) {
  long ms = wait_ms(deadline);
  WaitEvent event;

  if (ms <= 0 || page_transport_moved()) return false;
  if (events_latch != MyLatch) forget_events();
  if (events == NULL) {
    events = CreateWaitEventSet(TopMemoryContext, 3);
    events_latch = MyLatch;
    AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
    AddWaitEventToSet(events, WL_SOCKET_READABLE, PQsocket(connection), NULL, NULL);
    if (IsUnderPostmaster) AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
  }
  ModifyWaitEvent(events, EVENT_SOCKET, (uint32)wanted, NULL);
  if (WaitEventSetWait(events, ms, &event, 1, PG_WAIT_EXTENSION) == 1 && event.events == WL_LATCH_SET) {
    ResetLatch(MyLatch);
    *latch_was_set = true;
  }
  look_after_interrupts();
  return true;
}

static bool establish(int64 deadline, bool* latch_was_set) {
  const char* const keywords[] = {"user", "fallback_application_name", "dbname", NULL};
  const char* const values[] = {"argon", "argon compute", address, NULL};
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;

  connection = PQconnectStartParams(keywords, values, 1);
  if (connection == NULL || PQstatus(connection) == CONNECTION_BAD) return false;
  while (status != PGRES_POLLING_OK) {
    if (status == PGRES_POLLING_FAILED) return false;
    if (!wait_connecting(status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_CONNECTED, deadline,
                         latch_was_set))
      return false;
    status = PQconnectPoll(connection);
  }
  return PQsetnonblocking(connection, 1) == 0;
}

static bool start_pagestream(int64 deadline, bool* latch_was_set) {
  char command[128];
  PGresult* result;
  bool both;

  snprintf(command, sizeof(command), "pagestream_v3 %s %s", argon_tenant_id, argon_timeline_id);
  if (!PQsendQuery(connection, command)) return false;
  for (;;) {
    int left = PQflush(connection);

    if (left < 0) return false;
    if (left == 0 && !PQisBusy(connection)) break;
    if (!wait_connecting(WL_SOCKET_READABLE | (left > 0 ? WL_SOCKET_WRITEABLE : 0), deadline, latch_was_set))
      return false;
    if (!PQconsumeInput(connection)) return false;
  }
  result = PQgetResult(connection);
  both = PQresultStatus(result) == PGRES_COPY_BOTH;
  PQclear(result);
  return both;
}

bool page_transport_is_open(void) {
  return ready && !page_transport_moved();
}

bool page_transport_open(int64 deadline, char** why) {
  bool latch_was_set = false;
  bool ok;

  page_transport_close();
  address_version = page_address_get(address);
  ok = establish(deadline, &latch_was_set) && start_pagestream(deadline, &latch_was_set);
  if (latch_was_set) SetLatch(MyLatch);
  if (!ok) return failed(deadline, why);
  ready = true;
  argon_count(ARGON_CONNECTS);
  return true;
}

bool page_transport_put(const char* request, int n) {
  return PQputCopyData(connection, request, n) > 0;
}

bool page_transport_send(void) {
  return PQflush(connection) >= 0;
}

// What has come is taken without waiting first: of a row of answers several are there.
static bool receive(int64 deadline, PageAnswer* answer, bool* latch_was_set) {
  for (bool looked = false;; looked = !looked) {
    int left;

    answer->length = PQgetCopyData(connection, &answer->bytes, 1);
    if (answer->length > 0) return true;
    if (answer->length < 0) {
      // The stream ended; the reason is in the result behind it.
      PQclear(PQgetResult(connection));
      return false;
    }
    left = PQflush(connection);
    if (left < 0) return false;
    if (looked &&
        !wait_ready(WL_SOCKET_READABLE | (left > 0 ? WL_SOCKET_WRITEABLE : 0), deadline, latch_was_set))
      return false;
    if (!PQconsumeInput(connection)) return false;
  }
}

bool page_transport_receive(int64 deadline, PageAnswer* answer, char** why) {
  bool latch_was_set = false;
  bool ok = receive(deadline, answer, &latch_was_set);

  if (latch_was_set) SetLatch(MyLatch);
  if (!ok) return failed(deadline, why);
  failures = 0;
  return true;
}

void page_transport_free(PageAnswer* answer) {
  if (answer->bytes != NULL) PQfreemem(answer->bytes);
  answer->bytes = NULL;
}

void page_transport_back_off(const char* why, int64 deadline) {
  long left = (long)(deadline - argon_monotonic_ms());
  long ms = (long)FIRST_BACK_OFF_MS << Min(failures, 7);

  if (page_transport_moved()) {
    failures = 0;
    return;
  }
  if (++failures == LOG_AFTER_FAILURES)
    ereport(LOG, (errmsg("argon: the pageserver cannot be reached, waiting for it"), errdetail("%s", why)));
  (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(Min(ms, LAST_BACK_OFF_MS), Max(left, 1)),
                  PG_WAIT_EXTENSION);
  look_after_interrupts();
}
