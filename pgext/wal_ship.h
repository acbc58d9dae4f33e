// Ships the server's flushed WAL to the sidecar, byte for byte from argon_start_lsn on.
#ifndef ARGON_PGEXT_WAL_SHIP_H
#define ARGON_PGEXT_WAL_SHIP_H

#include "argon.h"
#include "sidecar_link.h"

typedef struct WalShipper {
  SidecarLink link;
  XLogRecPtr next;  // the first byte not yet queued
  int segment_file;
  uint64 segment;
} WalShipper;

// Says hello and learns where to ship from. False with link.problem set; *refused as sidecar_open.
bool wal_ship_open(WalShipper* shipper, int timeout_ms, bool* refused);
void wal_ship_close(WalShipper* shipper);

// Queues WAL up to `upto`, as long as the socket takes it. False when the link broke. ERROR if a WAL
// segment that was not shipped yet is gone.
bool wal_ship_pump(WalShipper* shipper, XLogRecPtr upto);

// Keeps what the sidecar said where every process can read it.
void wal_ship_note_positions(const SidecarPositions* positions);

// Stops the server at once: nothing may be acknowledged any more. Does not return to its caller's
// work: the caller must not release any waiter afterwards.
void wal_ship_fence(const char* why);

// In the postmaster (or the single-user server): the shutdown checkpoint is written when no worker is
// left to ship it, so the postmaster does it last of all, and waits at most half a minute until the
// quorum has it. The server's end is not seen by anybody before.
void wal_ship_at_server_exit(void);

#endif
