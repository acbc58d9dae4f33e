// The connection under page_pipeline.c: libpq, never blocking, every wait interruptible. Requests go out and
// answers come in by themselves, in the same order; whose answer is whose is the caller's business.
#ifndef ARGON_PGEXT_PAGE_TRANSPORT_H
#define ARGON_PGEXT_PAGE_TRANSPORT_H

#include "argon.h"

// libpq's memory: to be freed by page_transport_free.
typedef struct PageAnswer {
  char* bytes;
  int length;
} PageAnswer;

// Ready for requests, to where the pageserver is now. Never waits.
bool page_transport_is_open(void);
// The pageserver is somewhere else than when the connection was made: what it refused there does not count.
bool page_transport_moved(void);
// Closes what there is and connects. May wait, up to the deadline (argon_monotonic_ms()); ERROR on cancel and
// terminate. False with *why (palloc'd) if that failed or the deadline passed.
bool page_transport_open(int64 deadline, char** why);
// Closes the connection: no answer of an earlier request will come.
void page_transport_close(void);

// Both never wait. Puts a request behind those put before; sends what the socket takes. False: the connection
// failed. REQUIRES: open.
bool page_transport_put(const char* request, int n);
bool page_transport_send(void);

// The next answer; sends what was put before it waits. An ERROR on cancel and terminate leaves everything in
// place: the answer can be asked for again. False with *why if the connection failed or the deadline passed.
bool page_transport_receive(int64 deadline, PageAnswer* answer, char** why);
void page_transport_free(PageAnswer* answer);

// Waits before the next try: 10 ms, doubled up to a second, and never beyond the deadline; not at all where
// the pageserver has moved.
void page_transport_back_off(const char* why, int64 deadline);

#endif
