#include "page_transport.h"

#include <libpq-fe.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define FIRST_BACK_OFF_MS 10
#define LAST_BACK_OFF_MS 1000
#define LOG_AFTER_FAILURES 5

static PGconn* connection;
static bool ready;           // in COPY BOTH
static bool call_in_flight;  // a wait was left by an error: the connection holds a stale answer
static char* connected_to;   // the setting it was made with
static int failures;         // in a row

void page_transport_reset(void) {
  if (connection != NULL) PQfinish(connection);
  connection = NULL;
  ready = false;
  call_in_flight = false;
}

static char* connection_problem(void) {
  char* text = pstrdup(connection == NULL ? "out of memory" : PQerrorMessage(connection));
  size_t n = strlen(text);

  while (n > 0 && text[n - 1] == '\n') text[--n] = '\0';
  return n > 0 ? text : pstrdup("connection closed");
}

// Waits for the socket. False when the deadline has passed. A latch set meanwhile for somebody else
// is set again by the caller.
static bool wait_socket(int events, TimestampTz deadline, bool* latch_was_set) {
  long ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
  int rc;

  if (ms <= 0) return false;
  rc = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | events,
                         PQsocket(connection), ms, PG_WAIT_EXTENSION);
  if (rc & WL_LATCH_SET) {
    ResetLatch(MyLatch);
    *latch_was_set = true;
  }
  CHECK_FOR_INTERRUPTS();
  return true;
}

static bool establish(TimestampTz deadline, bool* latch_was_set) {
  const char* const keywords[] = {"user", "fallback_application_name", "dbname", NULL};
  const char* const values[] = {"argon", "argon compute", argon_pageserver_address, NULL};
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;

  connection = PQconnectStartParams(keywords, values, 1);
  if (connection == NULL || PQstatus(connection) == CONNECTION_BAD) return false;
  while (status != PGRES_POLLING_OK) {
    if (status == PGRES_POLLING_FAILED) return false;
    if (!wait_socket(status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_CONNECTED, deadline,
                     latch_was_set))
      return false;
    status = PQconnectPoll(connection);
  }
  return PQsetnonblocking(connection, 1) == 0;
}

static bool flush_output(TimestampTz deadline, bool* latch_was_set) {
  for (;;) {
    int left = PQflush(connection);

    if (left <= 0) return left == 0;
    if (!wait_socket(WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE, deadline, latch_was_set)) return false;
    if (!PQconsumeInput(connection)) return false;
  }
}

static bool start_pagestream(TimestampTz deadline, bool* latch_was_set) {
  char command[128];
  PGresult* result;
  bool both;

  snprintf(command, sizeof(command), "pagestream_v3 %s %s", argon_tenant_id, argon_timeline_id);
  if (!PQsendQuery(connection, command) || !flush_output(deadline, latch_was_set)) return false;
  while (PQisBusy(connection)) {
    if (!wait_socket(WL_SOCKET_READABLE, deadline, latch_was_set)) return false;
    if (!PQconsumeInput(connection)) return false;
  }
  result = PQgetResult(connection);
  both = PQresultStatus(result) == PGRES_COPY_BOTH;
  PQclear(result);
  return both;
}

static bool make_ready(TimestampTz deadline, bool* latch_was_set) {
  if (call_in_flight || (ready && strcmp(connected_to, argon_pageserver_address) != 0))
    page_transport_reset();
  if (ready) return true;
  page_transport_reset();
  call_in_flight = true;
  if (!establish(deadline, latch_was_set) || !start_pagestream(deadline, latch_was_set)) return false;
  call_in_flight = false;
  if (connected_to != NULL) pfree(connected_to);
  connected_to = MemoryContextStrdup(TopMemoryContext, argon_pageserver_address);
  ready = true;
  argon_count(ARGON_CONNECTS);
  return true;
}

static bool call(const char* request, int n, TimestampTz deadline, PageAnswer* answer, bool* latch_was_set) {
  if (!make_ready(deadline, latch_was_set)) return false;
  call_in_flight = true;
  if (PQputCopyData(connection, request, n) <= 0 || !flush_output(deadline, latch_was_set)) return false;
  for (;;) {
    answer->length = PQgetCopyData(connection, &answer->bytes, 1);
    if (answer->length > 0) break;
    if (answer->length < 0) {
      // The stream ended; the reason is in the result behind it.
      PGresult* result = PQgetResult(connection);

      PQclear(result);
      return false;
    }
    if (!wait_socket(WL_SOCKET_READABLE, deadline, latch_was_set)) return false;
    if (!PQconsumeInput(connection)) return false;
  }
  call_in_flight = false;
  return true;
}

bool page_transport_call(const char* request, int n, TimestampTz deadline, PageAnswer* answer, char** why) {
  bool latch_was_set = false;
  bool ok = call(request, n, deadline, answer, &latch_was_set);

  if (latch_was_set) SetLatch(MyLatch);
  if (ok) {
    failures = 0;
    return true;
  }
  *why = GetCurrentTimestamp() >= deadline
             ? psprintf("No answer within argon.pageserver_timeout (%d s) from \"%s\": %s",
                        argon_pageserver_timeout_s, argon_pageserver_address, connection_problem())
             : psprintf("Connection to \"%s\": %s", argon_pageserver_address, connection_problem());
  page_transport_reset();
  return false;
}

void page_transport_free(PageAnswer* answer) {
  PQfreemem(answer->bytes);
  answer->bytes = NULL;
}

void page_transport_back_off(const char* why, TimestampTz deadline) {
  long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
  long ms = (long)FIRST_BACK_OFF_MS << Min(failures, 7);

  if (++failures == LOG_AFTER_FAILURES)
    ereport(LOG, (errmsg("argon: the pageserver cannot be reached, waiting for it"), errdetail("%s", why)));
  (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(Min(ms, LAST_BACK_OFF_MS), Max(left, 1)),
                  PG_WAIT_EXTENSION);
  CHECK_FOR_INTERRUPTS();
}
