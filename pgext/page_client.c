#include "page_client.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "page_pipeline.h"
#include "page_transport.h"
#include "port/pg_bswap.h"
#include "single_user.h"

// What a read depends on must be on its way to the pageserver before it is asked.
static void flush_up_to(XLogRecPtr lsn) {
  if (RecoveryInProgress()) return;
  XLogFlush(lsn);
  if (single_user_ships() && lsn > pg_atomic_read_u64(&argon_shared->commit_lsn)) single_user_ship(lsn);
}

// A replica must see no change before it has replayed it, nor miss one that it has: of a block that was
// written back while the record that changed it is still being replayed.
static XLogRecPtr as_of(XLogRecPtr written) {
  return argon_mode == ARGON_REPLICA ? Max(written, GetXLogReplayRecPtr(NULL)) : written;
}

// Tries until there is an answer; `place` is where it was asked for already, or 0. What was asked for early
// and refused is asked for once more, so that the error is of the reader's own request.
static void ask(Request* request, PipelinePlace place, bool early, void* body, int body_bytes) {
  int64 deadline = argon_monotonic_ms() + (int64)argon_pageserver_timeout_s * 1000;
  const char* refused = NULL;
  char* why = NULL;

  for (;;) {
    if ((place != 0 || pipeline_put_waiting(request, deadline, &place, &why)) &&
        pipeline_take(place, deadline, body, body_bytes, &refused, &why)) {
      if (refused == NULL) return;
      if (!early && !page_transport_moved()) pipeline_fail(request, refused);
      refused = NULL;
      early = false;
      place = 0;
      continue;
    }
    if (argon_monotonic_ms() >= deadline) pipeline_fail(request, why);
    page_transport_back_off(why, deadline);
    early = false;
    place = 0;
  }
}

static void ask_anew(Request* request, void* body, int body_bytes) {
  argon_count(ARGON_SIZE_REQUESTS);
  argon_slow_down();
  flush_up_to(request->not_modified_since);
  ask(request, 0, false, body, body_bytes);
}

bool page_client_exists(RelFileNode node, ForkNumber fork, XLogRecPtr not_modified_since) {
  Request request = {
      .kind = ASK_EXISTS, .node = node, .fork = fork, .not_modified_since = as_of(not_modified_since)};
  uint8 yes;

  ask_anew(&request, &yes, sizeof(yes));
  return yes != 0;
}

bool page_client_nblocks(RelFileNode node, ForkNumber fork, XLogRecPtr not_modified_since,
                         BlockNumber* nblocks) {
  Request request = {
      .kind = ASK_NBLOCKS, .node = node, .fork = fork, .not_modified_since = as_of(not_modified_since)};
  uint32 n;

  if (!page_client_exists(node, fork, not_modified_since)) return false;
  ask_anew(&request, &n, sizeof(n));
  *nblocks = pg_ntoh32(n);
  return true;
}

int64 page_client_database_size(Oid database, XLogRecPtr not_modified_since) {
  Request request = {.kind = ASK_DATABASE_SIZE,
                     .node = {.dbNode = database},
                     .not_modified_since = as_of(not_modified_since)};
  uint64 bytes;

  ask_anew(&request, &bytes, sizeof(bytes));
  return (int64)pg_ntoh64(bytes);
}

static Request page_request(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr written) {
  return (Request){
      .kind = ASK_PAGE, .node = node, .fork = fork, .block = block, .not_modified_since = as_of(written)};
}

PageRead page_client_begin_read(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr written) {
  PageRead read = {node, fork, block, written, 0, false};

  argon_count(ARGON_PAGES_READ);
  argon_slow_down();
  read.place = pipeline_find(node, fork, block, written);
  read.early = read.place != 0;
  if (read.early) {
    argon_count(ARGON_PREFETCH_HITS);
    pipeline_hold(read.place);
  } else {
    Request request = page_request(node, fork, block, written);

    argon_count(ARGON_PREFETCH_MISSES);
    flush_up_to(written);
    read.place = pipeline_put(&request, false);
  }
  return read;
}

void page_client_end_read(PageRead* read, char* page) {
  Request request = page_request(read->node, read->fork, read->block, read->written);

  flush_up_to(read->written);
  ask(&request, read->place, read->early, page, BLCKSZ);
}

// The answer is to be as new as it can be without waiting, so that it stays usable where the last-written LSN
// is raised to what other blocks were written at.
static XLogRecPtr newest_without_waiting(XLogRecPtr written) {
  if (argon_mode != ARGON_PRIMARY) return written;  // see as_of()
  return Max(written, pg_atomic_read_u64(&argon_shared->ps_received_lsn));
}

// The pageserver will get this WAL, and does not keep later requests waiting for it.
static bool has_quorum(XLogRecPtr lsn) {
  if (argon_mode != ARGON_PRIMARY) return true;
  return lsn <= Max(pg_atomic_read_u64(&argon_shared->commit_lsn), argon_start_lsn);
}

bool page_client_prefetch(RelFileNode node, ForkNumber fork, BlockNumber block, XLogRecPtr written) {
  Request request = page_request(node, fork, block, newest_without_waiting(written));

  if (!has_quorum(written)) return false;
  if (pipeline_find(node, fork, block, written) != 0) return true;
  if (pipeline_put(&request, true) == 0) return false;
  argon_count(ARGON_PREFETCH_REQUESTS);
  return true;
}

void page_client_send(void) {
  pipeline_send_batch();
}
