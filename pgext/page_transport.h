// The connection under page_client.c: libpq, never blocking, every wait interruptible.
#ifndef ARGON_PGEXT_PAGE_TRANSPORT_H
#define ARGON_PGEXT_PAGE_TRANSPORT_H

#include "argon.h"
#include "datatype/timestamp.h"

// libpq's memory: to be freed by page_transport_free, also when decoding fails (the connection is
// reset then, the few bytes live until the backend ends).
typedef struct PageAnswer {
  char* bytes;
  int length;
} PageAnswer;

// Connects if need be, sends one request, waits for one answer. False with *why (palloc'd) if the
// connection failed or the deadline passed: then it is closed. ERROR on cancel and terminate.
bool page_transport_call(const char* request, int n, TimestampTz deadline, PageAnswer* answer, char** why);
void page_transport_free(PageAnswer* answer);

// Waits before the next try: 10 ms, doubled up to a second, and never beyond the deadline.
void page_transport_back_off(const char* why, TimestampTz deadline);

// Closes the connection; the next call makes a new one.
void page_transport_reset(void);

#endif
