// Frames to and from the sidecar over its unix socket: u32 length of what follows, u8 tag, body, all
// big endian. Used by the postmaster (handshake at start), the worker, and the postmaster
// again (the shutdown checkpoint). One connection at a time is served by the sidecar.
//
// No call raises an error: what goes wrong is said in words. A link that failed is closed.
#ifndef ARGON_PGEXT_SIDECAR_LINK_H
#define ARGON_PGEXT_SIDECAR_LINK_H

#include "argon.h"
#include "lib/stringinfo.h"

#define SIDECAR_PROTOCOL 3
#define SIDECAR_MAX_WAL_BYTES (128 * 1024)

typedef struct SidecarLink {
  int socket;  // -1: closed
  StringInfoData out;
  StringInfoData in;
  char problem[512];
} SidecarLink;

typedef struct SidecarPositions {
  XLogRecPtr commit_lsn;
  XLogRecPtr ps_received_lsn;
  XLogRecPtr ps_disk_lsn;
  XLogRecPtr ps_remote_lsn;
  uint64 timeline_bytes;  // of all relations, on the pageserver; 0: not known
} SidecarPositions;

typedef enum SidecarEvent { SIDECAR_NOTHING, SIDECAR_POSITIONS, SIDECAR_STOP, SIDECAR_BROKEN } SidecarEvent;

// Connects and says hello; waits at most timeout_ms in all. False with link->problem set. A refusal
// (ok = 0) is told apart by *refused. *ship_from: where the sidecar wants the WAL from.
bool sidecar_open(SidecarLink* link, int timeout_ms, bool* refused, XLogRecPtr* ship_from);
void sidecar_close(SidecarLink* link);

void sidecar_queue_wal(SidecarLink* link, XLogRecPtr begin, const char* bytes, int n);
void sidecar_queue_lsn(SidecarLink* link, char tag, XLogRecPtr lsn);  // 'K' and 'C'
// 'L' (read_lease.h); it is answered by 'l', with the same time, or not at all.
void sidecar_queue_reads_question(SidecarLink* link, uint64 now_us, uint32 patience_ms);
static inline bool sidecar_has_output(const SidecarLink* link) {
  return link->out.cursor < link->out.len;
}

// Writes what the socket takes. False when the link broke.
bool sidecar_flush(SidecarLink* link);
// Reads what there is and returns the next event; call until SIDECAR_NOTHING. An answer to 'L' is no event.
SidecarEvent sidecar_next(SidecarLink* link, SidecarPositions* positions);

#endif
