// Reads from the pageserver over libpq: `pagestream_v3 TENANT TIMELINE`, then binary requests and
// answers inside COPY BOTH. One connection a backend, made when first needed, made again after any
// error or cancelled wait.
//
// Every call may wait; the wait ends on cancel and terminate where the server lets interrupts in,
// and after argon.pageserver_timeout. Errors name tenant, timeline, LSN, relation and block.
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
void page_client_read(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr not_modified_since,
                      char* page);
int64 page_client_database_size(Oid database, XLogRecPtr not_modified_since);

#endif
