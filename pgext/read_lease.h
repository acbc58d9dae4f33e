// How long ago it may be at most that this server was seen to be the timeline's primary, where it answers.
//
// A primary that is cut off does not hear that another endpoint took the timeline over. So a statement begins
// only where a quorum of safekeepers has confirmed, at most argon.read_lease ago, that nobody has; else it
// waits, and can be cancelled. What it then reads was right at most so long ago. 0: no bound, and reads go on
// where there is no quorum for long.
//
// The worker that ships WAL asks (READ_LEASE_ASKS times a lease); times are of this machine's monotonic
// clock, and count from when it asked. A statement that runs already is not looked at again.
#ifndef ARGON_PGEXT_READ_LEASE_H
#define ARGON_PGEXT_READ_LEASE_H

#include "argon.h"
#include "sidecar_link.h"

#define READ_LEASE_ASKS 4

// Milliseconds between questions; 0: there is nothing to be asked.
int read_lease_interval_ms(void);
// Asks where it is time to; `*asked_us` is when it did last.
void read_lease_ask(SidecarLink* link, uint64* asked_us);
// A quorum confirmed what was asked at that time.
void read_lease_confirmed(uint64 asked_us);

// Before a statement: waits until it may begin. May raise an error (cancel, terminate).
void read_lease_wait(void);
void read_lease_install(void);

#endif
