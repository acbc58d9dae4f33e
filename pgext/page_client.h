// Reads from the pageserver over libpq: `pagestream_v3 TENANT TIMELINE`, then binary requests and
// answers inside COPY BOTH. One connection a backend, made when first needed, made again after any
// error of it; requests are pipelined on it (page_pipeline.h).
//
// Every call may wait unless said otherwise; the wait ends on cancel and terminate where the server lets
// interrupts in, and after argon.pageserver_timeout. Errors name tenant, timeline, LSN, relation and block.
// REQUIRES: not in a critical section.
#ifndef ARGON_PGEXT_PAGE_CLIENT_H
#define ARGON_PGEXT_PAGE_CLIENT_H

#include "argon.h"

// not_modified_since: the pageserver waits until it has WAL up to here before it answers. Flushed
// first, since the pageserver cannot get what this server has not written out.
bool page_client_exists(RelFileNode node, ForkNumber fork, XLogRecPtr not_modified_since);
// False if the relation fork does not exist.
bool page_client_nblocks(RelFileNode node, ForkNumber fork, XLogRecPtr not_modified_since,
                         BlockNumber* nblocks);
int64 page_client_database_size(Oid database, XLogRecPtr not_modified_since);

// A read is begun, other pages may be asked for behind it, and ended: one send for all of them. The page may
// have been asked for before.
typedef struct PageRead {
  RelFileNode node;
  ForkNumber fork;
  BlockNumber block;
  XLogRecPtr written;  // the last-written LSN of the block
  uint64 place;        // in the pipeline; 0: nowhere yet
  bool early;          // asked for before the read began
} PageRead;
PageRead page_client_begin_read(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr written);
void page_client_end_read(PageRead* read, char* page);

// Asks for a page that will be read soon. Never waits and never fails; false if it could not be asked for:
// there is no connection yet, the window is full, or the pageserver might have to wait for WAL that no quorum
// has.
bool page_client_prefetch(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr written);
// To be called behind a row of these: sends them, if there are enough of them.
void page_client_send(void);

#endif
