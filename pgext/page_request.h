// Requests of pagestream v3 and their answers, as bytes. An answer repeats its request.
#ifndef ARGON_PGEXT_PAGE_REQUEST_H
#define ARGON_PGEXT_PAGE_REQUEST_H

#include "argon.h"
#include "lib/stringinfo.h"

typedef enum RequestKind { ASK_EXISTS = 0, ASK_NBLOCKS = 1, ASK_PAGE = 2, ASK_DATABASE_SIZE = 3 } RequestKind;

typedef struct Request {
  RequestKind kind;
  RelFileNode node;
  ForkNumber fork;
  BlockNumber block;  // of ASK_PAGE
  // The pageserver waits until it has WAL up to here; the answer is at least as new, and for a replica no
  // newer.
  XLogRecPtr not_modified_since;
  uint64 id;
} Request;

// Appends the request to *out.
void request_encode(StringInfo out, const Request* request);
// "page of 1663/5/16384 fork 0 block 7 at LSN 0/16F9A00, tenant ..., timeline ...", palloc'd.
char* request_describe(const Request* request);

typedef enum AnswerState {
  ANSWER_BODY,       // *text is the body, body_bytes long, inside the answer
  ANSWER_REFUSED,    // *text is the pageserver's message, palloc'd
  ANSWER_MALFORMED,  // *text says why this is no answer to the request, palloc'd
} AnswerState;
AnswerState request_decode(const Request* request, const char* answer, int n, int body_bytes,
                           const char** text);

#endif
