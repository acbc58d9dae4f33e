// What the files of the extension share: settings, the block of shared memory, counters, and the
// entry points each file installs. Everything here runs inside PostgreSQL 15 processes.
//
// Errors are PostgreSQL's (ereport); "may wait" on a declaration means that the call may wait for
// the network and may raise an error. Nothing that may wait is called inside a critical section.
#ifndef ARGON_PGEXT_ARGON_H
#define ARGON_PGEXT_ARGON_H

// clang-format off
#include "postgres.h"
// clang-format on

#include "access/xlogdefs.h"
#include "port/atomics.h"
#include "portability/instr_time.h"
#include "storage/block.h"
#include "storage/lwlock.h"
#include "storage/relfilenode.h"
#include "storage/smgr.h"

// The oldest release whose synchronous replication waits from the first commit on, and whose
// storage manager table has the row that smgr_table.c looks for.
#define ARGON_MIN_SERVER_VERSION 150013
#define ARGON_SERVER_MAJOR 15

typedef enum ArgonMode { ARGON_PRIMARY, ARGON_STATIC, ARGON_REPLICA } ArgonMode;

// Settings (guc.c). Constant after the start of the server unless said otherwise.
extern char* argon_tenant_id;
extern char* argon_timeline_id;
extern char* argon_sidecar_socket;
extern int argon_mode;
extern XLogRecPtr argon_static_lsn;
extern bool argon_shadow;
extern int argon_max_local_pages;
extern int argon_pageserver_timeout_s;
extern int argon_max_write_lag_mb;
extern int argon_max_flush_lag_mb;
extern int argon_read_lease_ms;  // SIGHUP
extern int argon_last_written_cache_size;
extern int argon_prefetch_window;      // USERSET; less than PIPELINE_SLOTS
extern int argon_readahead_window;     // USERSET
extern int argon_max_cluster_size_mb;  // SIGHUP; -1: no limit
extern bool argon_explain;             // USERSET
extern int argon_max_file_cache_size_mb;
extern int argon_file_cache_size_mb;  // SIGHUP
extern char* argon_file_cache_path;
extern bool argon_autoprewarm;
extern int argon_prewarm_rate_mb;             // SIGHUP
extern int argon_file_cache_list_interval_s;  // SIGHUP
void argon_define_settings(void);
// Settings that correctness depends on are pinned above what a user can change.
void argon_pin_settings(void);
// A setting of the server's. FATAL where it has none of that name.
struct config_generic* argon_find_setting(const char* name);

// Counters, shown by argon_counters(). Names are in counters.c, in this order.
typedef enum ArgonCounter {
  ARGON_PAGES_READ,            // pages read from the pageserver
  ARGON_PREFETCH_REQUESTS,     // pages asked for before anybody read them
  ARGON_PREFETCH_HITS,         // pages read that had been asked for
  ARGON_PREFETCH_MISSES,       // pages read that had not
  ARGON_PREFETCH_WASTED,       // pages asked for and dropped: stale, not read, or lost with the connection
  ARGON_PAGES_EVICTED,         // pages written back without being kept here
  ARGON_FILE_CACHE_HITS,       // pages read from the local file cache
  ARGON_FILE_CACHE_MISSES,     // pages that were not in it
  ARGON_FILE_CACHE_EVICTIONS,  // chunks of it that made room for others
  ARGON_LOCAL_PAGES_READ,      // pages read back from local files
  ARGON_LOCAL_PAGES_WRITTEN,   // pages kept in local files at eviction
  ARGON_ZERO_PAGES_READ,       // pages known here to be all zeros
  ARGON_FSM_PAGES_LOGGED,      // free space map pages logged at eviction
  ARGON_FSM_PAGES_DROPPED,     // the same, dropped since no WAL could be written
  ARGON_IMAGES_LOGGED,         // full images logged since no more pages could be kept here
  ARGON_SIZE_REQUESTS,         // relation size and existence asked from the pageserver
  ARGON_CONNECTS,              // connections made to the pageserver
  ARGON_COMMITS_HELD,          // commits during which cancel and terminate were held back
  ARGON_SECOND_NET_WAITS,      // commits whose wait ended before the quorum had them
  ARGON_BACKPRESSURE_US,       // microseconds writers were slowed down
  ARGON_SHADOW_COMPARES,       // pages compared in shadow mode
  ARGON_WALSENDERS_REFUSED,    // physical replication connections refused
  ARGON_READ_LEASE_WAITS,      // statements that waited for a quorum to confirm that this is the primary
  ARGON_COUNTERS
} ArgonCounter;

typedef struct ArgonShared {
  pg_atomic_uint64 default_lsn;      // last-written LSN of everything without an entry
  pg_atomic_uint64 least_lsn;        // what every entry below it counts as
  pg_atomic_uint64 commit_lsn;       // what a quorum of safekeepers has
  pg_atomic_uint64 shipped_lsn;      // what was written to the sidecar's socket
  pg_atomic_uint64 ps_received_lsn;  // the pageserver's positions
  pg_atomic_uint64 ps_disk_lsn;
  pg_atomic_uint64 ps_remote_lsn;
  pg_atomic_uint64 reads_confirmed_us;  // read_lease.h; 0: not yet
  pg_atomic_uint64 timeline_bytes;      // of all relations, as the pageserver said last (quota.h); 0: not yet
  pg_atomic_uint64 grown_bytes;         // by this server since
  pg_atomic_uint32 fenced;              // another proposer took over: nothing may be acknowledged
  pg_atomic_uint32 shipping_ended;      // the server stops, and the worker that ships WAL has ended
  pg_atomic_uint32 local_generation;    // moves when an init fork is made
  pg_atomic_uint32 stored_pages;        // pages kept in local files now
  pg_atomic_uint64 counters[ARGON_COUNTERS];
} ArgonShared;

extern ArgonShared* argon_shared;

// The clock that nobody sets.
static inline int64 argon_monotonic_ms(void) {
  instr_time now;

  INSTR_TIME_SET_CURRENT(now);
  return (int64)INSTR_TIME_GET_MILLISEC(now);
}

extern uint64 argon_own_counters[ARGON_COUNTERS];  // of this process

static inline void argon_count(ArgonCounter counter) {
  pg_atomic_fetch_add_u64(&argon_shared->counters[counter], 1);
  argon_own_counters[counter]++;
}

// The start of the WAL of this endpoint: the fabricated checkpoint record, or the boundary of its
// page if the record is the first on it; of a replica, where redo begins. From pg_control, read in the
// postmaster.
extern XLogRecPtr argon_start_lsn;
extern uint64 argon_system_id;

// The names of the lock tranches, in the order shmem.c asks for them.
#define ARGON_LSN_PARTITIONS 64
#define ARGON_LOCAL_PARTITIONS 16
void argon_request_shared_memory(void);
void argon_init_shared_memory(void);

// smgr_table.c: finds the server's table of storage managers.
void argon_find_smgr_table(void);
void argon_swap_smgr_table(void);

// smgr.c
void argon_check_swap(void);
// What the pageserver must be asked with for the block; InvalidBlockNumber: the fork's size.
XLogRecPtr argon_not_modified_since(RelFileNode node, ForkNumber fork, BlockNumber block);

// commit_hold.c, decode_hold.c, backpressure.c, guard.c, ddl_hook.c, wal_worker.c, size_functions.c,
// own_slot.c, explain.c
void argon_install_explain(void);
void argon_install_commit_hold(void);
void argon_hold_commit(void);
void argon_release_commit(void);
void argon_after_prepared(void);  // the second net for COMMIT PREPARED and the like
void argon_install_decode_hold(void);
void argon_install_backpressure(void);
void argon_slow_down(void);  // may wait, but never under a lightweight lock
void argon_install_guard(void);
void argon_check_version(void);
void argon_claim_data_directory(void);
void argon_install_utility_hook(void);
void argon_register_wal_worker(void);
// The name that this library was loaded by, for a background worker (BGW_MAXLEN bytes).
void argon_library_name(char* out);
void argon_install_size_functions(void);

// The slot that keeps WAL for the quorum (own_slot.c).
#define ARGON_SLOT "argon"
void argon_hide_own_slot(void);

// Up to where this server's changes go. An LSN up to which WAL can be flushed: the insert position, taken
// back to the end of the last page where it stands behind the header of a page that nothing was written to.
// Of a replica, the end of the record that is being replayed.
XLogRecPtr argon_insert_lsn(void);

// The name of a relation in messages.
#define ARGON_REL_FORMAT "%u/%u/%u fork %d"
#define ARGON_REL_ARGS(node, fork) (node).spcNode, (node).dbNode, (node).relNode, (int)(fork)

#endif
