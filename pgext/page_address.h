// Where the pageserver is, for all processes of the server at once.
//
// The setting argon.pageserver_connstring may change while a process waits for a page, and a process takes up
// settings between statements only. The postmaster takes them up in its handler of SIGHUP, before it passes
// the signal on: so it alone writes the address into shared memory, and whoever needs it reads it there.
#ifndef ARGON_PGEXT_PAGE_ADDRESS_H
#define ARGON_PGEXT_PAGE_ADDRESS_H

#include "argon.h"

#define PAGE_ADDRESS_BYTES 1024

// REQUIRES: the postmaster, or the only process; shorter than PAGE_ADDRESS_BYTES. May be called in a signal
// handler.
void page_address_set(const char* address);

// Copies the address to `out`, of PAGE_ADDRESS_BYTES. Which one it is.
uint32 page_address_get(char* out);
// It is still that one. One load.
bool page_address_is(uint32 which);

Size page_address_shared_size(void);
void page_address_init(void);  // under AddinShmemInitLock

#endif
