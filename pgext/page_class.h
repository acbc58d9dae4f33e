// What a page's bytes say about whether WAL alone can rebuild it. The storage manager is not told
// what a relation is, so the page is recognised by its special space, as the server's own tools do.
#ifndef ARGON_PGEXT_PAGE_CLASS_H
#define ARGON_PGEXT_PAGE_CLASS_H

#include "argon.h"
#include "local_pages.h"
#include "storage/bufpage.h"

// The oldest transaction id of a live backend, nextXid if there is none. Prepared transactions do
// not count: command ids are read by the backend that wrote them only.
uint64 oldest_running_xid(void);
// The same, and the oldest snapshot of a live backend.
uint64 oldest_xid_or_snapshot(void);

// Why a page that is not new must be kept here when it is evicted, or LOCAL_FOR_NOTHING. Takes
// lightweight locks for a short time; never waits. The page may hold any bytes.
LocalReason classify_page(ForkNumber fork, BlockNumber block, Page page);
// An LSN that makes a page one that was never logged: what GiST gives its pages while it builds.
#define LSN_OF_NEVER_LOGGED ((XLogRecPtr)1)

// True for a heap page with PD_ALL_VISIBLE, whose LSN need not have moved when the flag was set.
bool page_flag_outruns_lsn(ForkNumber fork, Page page);
// True for a page of the free space or visibility map that has nothing but a header: as good as zeros.
bool map_says_nothing(ForkNumber fork, Page page);

#endif
