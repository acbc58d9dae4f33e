// This backend's requests to the pageserver: a bounded queue of those whose answer is under way, and of pages
// that came before anybody wanted them.
//
// Answers come in the order of the requests. A request whose answer nobody wants any more (an error or cancel
// left its wait, or its page is stale) keeps its place until the answer came, which is then thrown away: so a
// cancelled wait costs no connection. A lost connection takes the requests under way with it; pages that have
// come stay.
//
// A page that came early may be used while the last-written LSN of its block is at most the request's
// not_modified_since: the answer is at least as new as that, no version newer than the last-written LSN has
// left shared buffers, and who reads a block has it in none. On a static endpoint both are the endpoint's
// LSN, always.
#ifndef ARGON_PGEXT_PAGE_PIPELINE_H
#define ARGON_PGEXT_PAGE_PIPELINE_H

#include "argon.h"
#include "page_request.h"

#define PIPELINE_SLOTS 1024  // argon.prefetch_window is less

typedef uint64 PipelinePlace;  // 0: none

// The place of a page that may be used where its block was last written at `written`. A stale one is dropped.
PipelinePlace pipeline_find(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr written);
// The place will be taken soon: it does not make room for others until then. One place at a time; what is put
// not early is held by itself.
void pipeline_hold(PipelinePlace place);

// Puts a request into the queue, to be sent by the next wait or pipeline_send(). 0 where that cannot be done
// without waiting (no connection, or the queue is full of requests under way). Never waits. `early`: nobody
// waits for it yet; then at most argon.prefetch_window places are used, and pages that came and were not
// wanted make room.
PipelinePlace pipeline_put(Request* request, bool early);
// The same for somebody who waits: connects, and makes room by receiving. False with *why (palloc'd) if the
// connection failed or the deadline passed.
bool pipeline_put_waiting(Request* request, int64 deadline, PipelinePlace* place, char** why);
// Sends what was put, if it is worth a system call: not less than what is under way already.
void pipeline_send_batch(void);

// Waits for the answer at `place`, copies the body of body_bytes out and frees the place. Where the
// pageserver refused, *refused is its message instead. False with *why if the connection failed (try again)
// or the deadline passed.
bool pipeline_take(PipelinePlace place, int64 deadline, void* body, int body_bytes, const char** refused,
                   char** why);

// Drops pages asked for early in blocks [from, to) of the fork; returns how many.
int pipeline_drop(RelFileNode node, ForkNumber fork, BlockNumber from, BlockNumber to);

// Raises an ERROR that names the request.
void pipeline_fail(const Request* request, const char* why) pg_attribute_noreturn();

#endif
