// A primary without a postmaster (`postgres --single`): no worker ships WAL and releases commits, so the one
// process does both itself. Used by simulated clusters (sim/postgres), whose compute it is.
//
// All calls wait for the sidecar for as long as it takes, but an end of the server: whoever runs it ends it
// where nothing comes of it. A server that was fenced ends at once, as by SIGQUIT.
#ifndef ARGON_PGEXT_SINGLE_USER_H
#define ARGON_PGEXT_SINGLE_USER_H

#include "argon.h"

// This process is one. False also where the endpoint only reads.
bool single_user_ships(void);
// Until the sidecar has been sent all WAL below the LSN. REQUIRES: it was flushed.
void single_user_ship(XLogRecPtr upto);
// Until the quorum has all WAL below the LSN. REQUIRES: it was flushed.
void single_user_wait_for_quorum(XLogRecPtr lsn);
// Ships what was flushed, hears what the sidecar says, and waits for that at most so long.
void single_user_exchange(int wait_ms);
// Asks once more whether this is the primary still, where that was long enough ago, and waits for an answer a
// while (read_lease.h).
void single_user_confirm_reads(void);
// Nothing is shipped any more; the shutdown checkpoint goes over a link of its own.
void single_user_stop_shipping(void);

#endif
