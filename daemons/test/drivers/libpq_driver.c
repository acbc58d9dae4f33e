// libpq from C: what a program does with a server, each call checked. Connects as PGHOST and kin say.
// Exit status 0 and "ok", or the first thing that was not as it should be.

#include <libpq-fe.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 10000, INT4 = 23, BYTEA = 17 };

static PGconn* connection;

static void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, "\nlast error: %s\n", PQerrorMessage(connection));
  exit(1);
}

static PGresult* wanted(PGresult* result, ExecStatusType status, const char* what) {
  if (PQresultStatus(result) != status)
    fail("%s: %s: %s", what, PQresStatus(PQresultStatus(result)), PQresultErrorMessage(result));
  return result;
}

static void run(const char* text) {
  PGresult* result = PQexec(connection, text);
  if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
    fail("%s: %s", text, PQresultErrorMessage(result));
  PQclear(result);
}

static void expect(const char* text, const char* value) {
  PGresult* result = wanted(PQexec(connection, text), PGRES_TUPLES_OK, text);
  if (strcmp(PQgetvalue(result, 0, 0), value) != 0)
    fail("%s: got '%s', not '%s'", text, PQgetvalue(result, 0, 0), value);
  PQclear(result);
}

static void expect_error(PGresult* result, const char* state, const char* part) {
  const char* got = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (got == NULL || strcmp(got, state) != 0 || strstr(PQresultErrorMessage(result), part) == NULL)
    fail("wanted error %s with '%s', got %s: %s", state, part, got ? got : "none",
         PQresultErrorMessage(result));
  PQclear(result);
}

static void prepares_statements(void) {
  run("create table things (id int primary key, name text, raw bytea)");
  PQclear(wanted(PQprepare(connection, "add", "insert into things values ($1, $2, $3)", 0, NULL),
                 PGRES_COMMAND_OK, "prepare"));
  for (int i = 1; i <= 100; i++) {
    int id = __builtin_bswap32(i);
    const char raw[] = {0, (char)i, (char)255};
    const char* values[] = {(const char*)&id, i % 10 == 0 ? NULL : "Zoë's ☃", raw};
    const int lengths[] = {sizeof(id), 0, sizeof(raw)};
    const int formats[] = {1, 0, 1};
    PQclear(wanted(PQexecPrepared(connection, "add", 3, values, lengths, formats, 1), PGRES_COMMAND_OK,
                   "insert"));
  }
  PGresult* described = wanted(PQdescribePrepared(connection, "add"), PGRES_COMMAND_OK, "describe");
  if (PQnparams(described) != 3 || PQparamtype(described, 0) != INT4 || PQparamtype(described, 2) != BYTEA)
    fail("the statement's parameters are described wrong");
  PQclear(described);
  expect("select count(*) || ' ' || count(name) || ' ' || sum(get_byte(raw, 1)) from things", "100 90 5050");
}

// Many statements are sent before an answer is read; an error skips those behind it up to the sync.
static void pipelines(void) {
  if (!PQenterPipelineMode(connection)) fail("no pipeline mode");
  for (int i = 0; i < 500; i++)
    PQsendQueryParams(connection, "select $1::int + 1", 1, NULL, (const char*[]){"41"}, NULL, NULL, 0);
  PQsendQueryParams(connection, "select 1/0", 0, NULL, NULL, NULL, NULL, 0);
  PQsendQueryParams(connection, "select 1", 0, NULL, NULL, NULL, NULL, 0);
  PQpipelineSync(connection);
  int answers = 0, errors = 0, skipped = 0;
  for (bool synced = false; !synced;) {
    PGresult* result = PQgetResult(connection);
    if (result == NULL) continue;  // the end of one statement's results
    switch (PQresultStatus(result)) {
      case PGRES_TUPLES_OK:
        answers += strcmp(PQgetvalue(result, 0, 0), "42") == 0;
        break;
      case PGRES_FATAL_ERROR:
        errors++;
        break;
      case PGRES_PIPELINE_ABORTED:
        skipped++;
        break;
      case PGRES_PIPELINE_SYNC:
        synced = true;
        break;
      default:
        fail("pipeline: %s", PQresStatus(PQresultStatus(result)));
    }
    PQclear(result);
  }
  if (answers != 500 || errors != 1 || skipped != 1)
    fail("pipeline: %d answers, %d errors, %d skipped", answers, errors, skipped);
  if (!PQexitPipelineMode(connection)) fail("the pipeline mode does not end");
}

static void copies(void) {
  run("create table copied (i int, words text)");
  PQclear(wanted(PQexec(connection, "copy copied from stdin"), PGRES_COPY_IN, "copy in"));
  for (int i = 0; i < ROWS; i++) {
    char line[64];
    int length = snprintf(line, sizeof(line), "%d\tline\\t%d\n", i, i);
    if (PQputCopyData(connection, line, length) != 1) fail("copy in, row %d", i);
  }
  if (PQputCopyEnd(connection, NULL) != 1) fail("copy in, end");
  PQclear(wanted(PQgetResult(connection), PGRES_COMMAND_OK, "copy in"));
  while (PQgetResult(connection) != NULL) {
  }

  PQclear(wanted(PQexec(connection, "copy (select * from copied order by i) to stdout"), PGRES_COPY_OUT,
                 "copy out"));
  int rows = 0;
  for (char* line; PQgetCopyData(connection, &line, 0) > 0; rows++) {
    char expected[64];
    snprintf(expected, sizeof(expected), "%d\tline\\t%d\n", rows, rows);
    if (strcmp(line, expected) != 0) fail("copy out, row %d: %s", rows, line);
    PQfreemem(line);
  }
  PQclear(wanted(PQgetResult(connection), PGRES_COMMAND_OK, "copy out"));
  while (PQgetResult(connection) != NULL) {
  }
  if (rows != ROWS) fail("copy out: %d rows", rows);

  // A client that changes its mind leaves nothing behind.
  PQclear(wanted(PQexec(connection, "copy copied from stdin"), PGRES_COPY_IN, "copy in"));
  PQputCopyData(connection, "1\tx\n", 4);
  PQputCopyEnd(connection, "changed its mind");
  expect_error(PQgetResult(connection), "57014", "changed its mind");
  while (PQgetResult(connection) != NULL) {
  }
  expect("select count(*) from copied", "10000");
}

static PGnotify* wait_for_notification(int milliseconds) {
  for (PGnotify* got;;) {
    PQconsumeInput(connection);
    if ((got = PQnotifies(connection)) != NULL) return got;
    struct pollfd socket = {.fd = PQsocket(connection), .events = POLLIN};
    if (poll(&socket, 1, milliseconds) <= 0) return NULL;
  }
}

static void listens_and_notifies(void) {
  PGconn* other = PQconnectdb("");
  if (PQstatus(other) != CONNECTION_OK) fail("second connection: %s", PQerrorMessage(other));
  run("listen news");
  PQclear(PQexec(other, "begin; notify news, 'first'; select pg_notify('news', 'second')"));
  if (wait_for_notification(200) != NULL) fail("notified before the commit");
  PQclear(wanted(PQexec(other, "commit"), PGRES_COMMAND_OK, "commit"));
  for (int i = 0; i < 2; i++) {
    PGnotify* got = wait_for_notification(30000);
    if (got == NULL || strcmp(got->relname, "news") != 0 ||
        strcmp(got->extra, i == 0 ? "first" : "second") != 0 || got->be_pid != PQbackendPID(other))
      fail("notification %d: %s", i, got ? got->extra : "none");
    PQfreemem(got);
  }
  PQfinish(other);
}

static void cancels(void) {
  PGcancel* cancel = PQgetCancel(connection);
  char why[256];
  if (!PQsendQuery(connection, "select pg_sleep(600)")) fail("send");
  usleep(300000);
  if (!PQcancel(cancel, why, sizeof(why))) fail("cancel: %s", why);
  expect_error(PQgetResult(connection), "57014", "canceling statement due to user request");
  while (PQgetResult(connection) != NULL) {
  }
  PQfreeCancel(cancel);
  expect("select 1", "1");
}

static void reads_large_results_row_by_row(void) {
  if (!PQsendQuery(connection, "select i, repeat('x', 100) from generate_series(1, 100000) i") ||
      !PQsetSingleRowMode(connection))
    fail("single row mode");
  int rows = 0;
  for (PGresult* result; (result = PQgetResult(connection)) != NULL; PQclear(result))
    if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) rows += atoi(PQgetvalue(result, 0, 0)) == rows + 1;
  if (rows != 100000) fail("row by row: %d rows", rows);
}

static void errors_are_sensible(void) {
  PGresult* result = PQexec(connection, "select nothing from things");
  if (strcmp(PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION), "8") != 0)
    fail("no position in the error");
  expect_error(result, "42703", "column \"nothing\" does not exist");
  run("begin");
  result = PQexec(connection, "insert into things values (1)");
  if (strcmp(PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME), "things_pkey") != 0)
    fail("no constraint in the error");
  expect_error(result, "23505", "Key (id)=(1) already exists");
  expect_error(PQexec(connection, "select 1"), "25P02", "current transaction is aborted");
  run("rollback");

  PGconn* nowhere = PQsetdbLogin(NULL, NULL, NULL, NULL, getenv("NO_DATABASE"), NULL, NULL);
  if (PQstatus(nowhere) != CONNECTION_BAD ||
      strstr(PQerrorMessage(nowhere), "database \"no_such\" does not exist") == NULL)
    fail("a database that is not there: %s", PQerrorMessage(nowhere));
  PQfinish(nowhere);
}

int main(void) {
  connection = PQconnectdb("");
  if (PQstatus(connection) != CONNECTION_OK) fail("connect");
  if (PQserverVersion(connection) / 10000 != 15) fail("server version %d", PQserverVersion(connection));
  run("drop schema if exists libpq cascade");
  run("create schema libpq");
  run("set search_path = libpq");
  prepares_statements();
  pipelines();
  copies();
  listens_and_notifies();
  cancels();
  reads_large_results_row_by_row();
  errors_are_sensible();
  run("drop schema libpq cascade");
  PQfinish(connection);
  puts("ok");
  return 0;
}
