#include "page_client.h"

#include <libpq-fe.h>

#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "page_transport.h"
#include "port/pg_bswap.h"
#include "utils/timestamp.h"

// Tags of requests, and of their answers: an error took the place in between.
enum { ASK_EXISTS = 0, ASK_NBLOCKS = 1, ASK_PAGE = 2, ASK_DATABASE_SIZE = 3, ANSWER_ERROR = 103 };
static const uint8 answer_tags[] = {100, 101, 102, 104};

#define HEADER_BYTES (1 + 8 + 8 + 8)
#define RELATION_BYTES (4 + 4 + 4 + 1)

typedef struct Request {
  int tag;
  RelFileNode node;
  ForkNumber fork;
  BlockNumber block;
  XLogRecPtr not_modified_since;
  uint64 id;
} Request;

static uint64 last_request_id;

static XLogRecPtr request_lsn(void) {
  return argon_mode == ARGON_STATIC ? argon_static_lsn : (XLogRecPtr)PG_UINT64_MAX;
}

static void encode(StringInfo out, const Request* request) {
  pq_sendbyte(out, (uint8)request->tag);
  pq_sendint64(out, request->id);
  pq_sendint64(out, request_lsn());
  pq_sendint64(out, request->not_modified_since);
  if (request->tag == ASK_DATABASE_SIZE) {
    pq_sendint32(out, request->node.dbNode);
    return;
  }
  pq_sendint32(out, request->node.spcNode);
  pq_sendint32(out, request->node.dbNode);
  pq_sendint32(out, request->node.relNode);
  pq_sendbyte(out, (uint8)request->fork);
  if (request->tag == ASK_PAGE) pq_sendint32(out, request->block);
}

static void describe(StringInfo out, const Request* request) {
  static const char* const what[] = {"existence", "size", "page", "database size"};

  initStringInfo(out);
  appendStringInfo(out, "%s of " ARGON_REL_FORMAT, what[request->tag],
                   ARGON_REL_ARGS(request->node, request->fork));
  if (request->tag == ASK_PAGE) appendStringInfo(out, " block %u", request->block);
  appendStringInfo(out, " at LSN %X/%X, tenant %s, timeline %s", LSN_FORMAT_ARGS(request->not_modified_since),
                   argon_tenant_id, argon_timeline_id);
}

static void fail(const Request* request, const char* why) {
  StringInfoData what;

  page_transport_reset();
  describe(&what, request);
  ereport(ERROR, (errcode(ERRCODE_IO_ERROR), errmsg("argon: the pageserver did not give the %s", what.data),
                  errdetail("%s", why)));
}

// The body behind the echo of the request, or NULL with *error set to the server's message.
static const char* decode(const Request* request, const char* answer, int n, int body_bytes, char** error) {
  int echo = request->tag == ASK_DATABASE_SIZE ? HEADER_BYTES + 4
             : request->tag == ASK_PAGE        ? HEADER_BYTES + RELATION_BYTES + 4
                                               : HEADER_BYTES + RELATION_BYTES;
  StringInfoData expected;
  uint64 id;

  if (n < HEADER_BYTES) fail(request, "The answer is shorter than any answer.");
  memcpy(&id, answer + 1, sizeof(id));
  if (pg_ntoh64(id) != request->id) fail(request, "The answer belongs to another request.");
  if ((uint8)answer[0] == ANSWER_ERROR) {
    *error = pnstrdup(answer + HEADER_BYTES, (Size)(n - HEADER_BYTES));
    return NULL;
  }
  if ((uint8)answer[0] != answer_tags[request->tag] || n != echo + body_bytes)
    fail(request, psprintf("The answer has tag %u and %d bytes.", (uint8)answer[0], n));
  initStringInfo(&expected);
  encode(&expected, request);
  if (memcmp(expected.data + 1, answer + 1, (size_t)echo - 1) != 0)
    fail(request, "The answer repeats another request than the one sent.");
  pfree(expected.data);
  return answer + echo;
}

// What a read depends on must be on its way to the pageserver before it is asked.
static void flush_up_to(XLogRecPtr lsn) {
  if (!RecoveryInProgress()) XLogFlush(lsn);
}

// Sends, waits, copies the body out. False with *error set if the pageserver answered with one.
static bool ask(Request* request, void* body, int body_bytes, char** error) {
  TimestampTz deadline;
  StringInfoData message;
  PageAnswer answer;
  const char* found;

  argon_slow_down();
  flush_up_to(request->not_modified_since);
  deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64)argon_pageserver_timeout_s * 1000);
  initStringInfo(&message);
  for (;;) {
    char* why = NULL;

    request->id = ++last_request_id;
    resetStringInfo(&message);
    encode(&message, request);
    if (page_transport_call(message.data, message.len, deadline, &answer, &why)) break;
    if (GetCurrentTimestamp() >= deadline) fail(request, why);
    page_transport_back_off(why, deadline);
  }
  pfree(message.data);
  found = decode(request, answer.bytes, answer.length, body_bytes, error);
  if (found != NULL) memcpy(body, found, (size_t)body_bytes);
  page_transport_free(&answer);
  return found != NULL;
}

static void ask_or_fail(Request* request, void* body, int body_bytes) {
  char* error = NULL;

  if (!ask(request, body, body_bytes, &error)) fail(request, error);
}

bool page_client_exists(RelFileNode node, ForkNumber fork, XLogRecPtr not_modified_since) {
  Request request = {.tag = ASK_EXISTS, .node = node, .fork = fork, .not_modified_since = not_modified_since};
  uint8 yes;

  argon_count(ARGON_SIZE_REQUESTS);
  ask_or_fail(&request, &yes, sizeof(yes));
  return yes != 0;
}

bool page_client_nblocks(RelFileNode node, ForkNumber fork, XLogRecPtr not_modified_since,
                         BlockNumber* nblocks) {
  Request request = {
      .tag = ASK_NBLOCKS, .node = node, .fork = fork, .not_modified_since = not_modified_since};
  uint32 n;

  if (!page_client_exists(node, fork, not_modified_since)) return false;
  argon_count(ARGON_SIZE_REQUESTS);
  ask_or_fail(&request, &n, sizeof(n));
  *nblocks = pg_ntoh32(n);
  return true;
}

void page_client_read(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr not_modified_since,
                      char* page) {
  Request request = {
      .tag = ASK_PAGE, .node = node, .fork = fork, .block = block, .not_modified_since = not_modified_since};

  argon_count(ARGON_PAGES_READ);
  ask_or_fail(&request, page, BLCKSZ);
}

int64 page_client_database_size(Oid database, XLogRecPtr not_modified_since) {
  Request request = {
      .tag = ASK_DATABASE_SIZE, .node = {.dbNode = database}, .not_modified_since = not_modified_since};
  uint64 bytes;

  argon_count(ARGON_SIZE_REQUESTS);
  ask_or_fail(&request, &bytes, sizeof(bytes));
  return (int64)pg_ntoh64(bytes);
}
