#include "page_request.h"

#include "libpq/pqformat.h"
#include "port/pg_bswap.h"

// Tags of answers; an error took the place in between.
static const uint8 answer_tags[] = {100, 101, 102, 104};
#define ANSWER_ERROR 103

#define HEADER_BYTES (1 + 8 + 8 + 8)
#define RELATION_BYTES (4 + 4 + 4 + 1)

static XLogRecPtr request_lsn(const Request* request) {
  switch (argon_mode) {
    case ARGON_STATIC:
      return argon_static_lsn;
    case ARGON_REPLICA:
      return request->not_modified_since;
    default:
      return PG_UINT64_MAX;
  }
}

void request_encode(StringInfo out, const Request* request) {
  pq_sendbyte(out, (uint8)request->kind);
  pq_sendint64(out, request->id);
  pq_sendint64(out, request_lsn(request));
  pq_sendint64(out, request->not_modified_since);
  if (request->kind == ASK_DATABASE_SIZE) {
    pq_sendint32(out, request->node.dbNode);
    return;
  }
  pq_sendint32(out, request->node.spcNode);
  pq_sendint32(out, request->node.dbNode);
  pq_sendint32(out, request->node.relNode);
  pq_sendbyte(out, (uint8)request->fork);
  if (request->kind == ASK_PAGE) pq_sendint32(out, request->block);
}

char* request_describe(const Request* request) {
  static const char* const what[] = {"existence", "size", "page", "database size"};
  StringInfoData out;

  initStringInfo(&out);
  appendStringInfo(&out, "%s of " ARGON_REL_FORMAT, what[request->kind],
                   ARGON_REL_ARGS(request->node, request->fork));
  if (request->kind == ASK_PAGE) appendStringInfo(&out, " block %u", request->block);
  appendStringInfo(&out, " at LSN %X/%X, tenant %s, timeline %s",
                   LSN_FORMAT_ARGS(request->not_modified_since), argon_tenant_id, argon_timeline_id);
  return out.data;
}

static bool repeats(const Request* request, const char* answer, int echo) {
  StringInfoData expected;
  bool same;

  initStringInfo(&expected);
  request_encode(&expected, request);
  same = memcmp(expected.data + 1, answer + 1, (size_t)echo - 1) == 0;
  pfree(expected.data);
  return same;
}

AnswerState request_decode(const Request* request, const char* answer, int n, int body_bytes,
                           const char** text) {
  int echo = request->kind == ASK_DATABASE_SIZE ? HEADER_BYTES + 4
             : request->kind == ASK_PAGE        ? HEADER_BYTES + RELATION_BYTES + 4
                                                : HEADER_BYTES + RELATION_BYTES;
  uint64 id;

  *text = "The answer is shorter than any answer.";
  if (n < HEADER_BYTES) return ANSWER_MALFORMED;
  memcpy(&id, answer + 1, sizeof(id));
  *text = "The answer belongs to another request.";
  if (pg_ntoh64(id) != request->id) return ANSWER_MALFORMED;
  if ((uint8)answer[0] == ANSWER_ERROR) {
    *text = pnstrdup(answer + HEADER_BYTES, (Size)(n - HEADER_BYTES));
    return ANSWER_REFUSED;
  }
  if ((uint8)answer[0] != answer_tags[request->kind] || n != echo + body_bytes) {
    *text = psprintf("The answer has tag %u and %d bytes.", (uint8)answer[0], n);
    return ANSWER_MALFORMED;
  }
  *text = "The answer repeats another request than the one sent.";
  if (!repeats(request, answer, echo)) return ANSWER_MALFORMED;
  *text = answer + echo;
  return ANSWER_BODY;
}
