#include "prewarm.h"

#include "cache_map.h"
#include "file_cache.h"
#include "fmgr.h"
#include "funcapi.h"
#include "local_pages.h"
#include "miscadmin.h"
#include "page_client.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "relation.h"
#include "storage/bufpage.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "stub.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define BATCH 32  // pages asked for together

PG_FUNCTION_INFO_V1(argon_prewarm);
PG_FUNCTION_INFO_V1(argon_prewarm_state);
PGDLLEXPORT void argon_prewarm_main(Datum arg);

typedef enum State { NOTHING_TO_DO, WAITING, RUNNING, DONE, GIVEN_UP } State;
static const char* const state_names[] = {"nothing to do", "waiting", "running", "done", "given up"};

typedef struct Prewarm {
  pg_atomic_uint32 state;
  pg_atomic_uint32 asked;      // for a round
  pg_atomic_uint32 held_back;  // by so many statements
  pg_atomic_uint64 total;      // pages of the list; of these:
  pg_atomic_uint64 present;
  pg_atomic_uint64 fetched;
  pg_atomic_uint64 left_out;
  pg_atomic_uint64 began;  // TimestampTz
  pg_atomic_uint64 ended;
  Latch* latch;  // the worker's
} Prewarm;

typedef struct Wanted {
  RelFileNode node;
  ForkNumber fork;
  BlockNumber block;
  FileCacheMiss miss;
} Wanted;

typedef struct ForkSize {
  CacheKey key;  // its block is 0
  BlockNumber nblocks;
} ForkSize;

static Prewarm* prewarm;
static Wanted batch[BATCH];
static int batched;
static HTAB* sizes;
static MemoryContext round_context;

Size prewarm_shared_size(void) {
  return MAXALIGN(sizeof(Prewarm));
}

static bool is_wanted(void) {
  return argon_max_file_cache_size_mb > 0 && argon_mode != ARGON_REPLICA;
}

static void set_state(State state) {
  pg_atomic_write_u32(&prewarm->state, (uint32)state);
}

void prewarm_init(void) {
  bool found;

  prewarm = ShmemInitStruct("argon prewarm", sizeof(Prewarm), &found);
  if (found) return;
  memset(prewarm, 0, sizeof(Prewarm));
  if (is_wanted() && argon_autoprewarm && cache_map_exists(CACHE_MAP_LIST)) set_state(WAITING);
}

void prewarm_hold_back(void) {
  pg_atomic_fetch_add_u32(&prewarm->held_back, 1);
}

void prewarm_let_go(void) {
  pg_atomic_fetch_sub_u32(&prewarm->held_back, 1);
}

bool prewarm_is_done(void) {
  State state = (State)pg_atomic_read_u32(&prewarm->state);

  return state == NOTHING_TO_DO || state == DONE;
}

// In PG_CATCH: the round goes on without what failed.
static void forget_error(void) {
  ErrorData* error;

  MemoryContextSwitchTo(round_context);
  error = CopyErrorData();
  FlushErrorState();
  LWLockReleaseAll();
  ereport(DEBUG1, (errmsg("argon: a page is left out of the prewarm: %s", error->message)));
  FreeErrorData(error);
}

// How long the fork is here, or on the pageserver. No stub is made: the relation may be dropped meanwhile.
static BlockNumber blocks_of(RelFileNode node, ForkNumber fork) {
  CacheKey key = {node, (uint32)fork, 0};
  ForkSize* size;
  BlockNumber nblocks = 0;
  bool found;

  if (relation_is_local((RelFileNodeBackend){node, InvalidBackendId})) return 0;
  if (stub_exists(node, fork)) return stub_blocks(node, fork);
  size = hash_search(sizes, &key, HASH_FIND, NULL);
  if (size != NULL) return size->nblocks;
  if (!page_client_nblocks(node, fork, argon_not_modified_since(node, fork, InvalidBlockNumber), &nblocks))
    nblocks = 0;
  size = hash_search(sizes, &key, HASH_ENTER, &found);
  size->nblocks = nblocks;
  return nblocks;
}

static bool can_be_had(RelFileNode node, ForkNumber fork, BlockNumber block) {
  volatile bool yes = false;

  PG_TRY();
  {
    yes = block < blocks_of(node, fork) && local_pages_state(node, fork, block) == LOCAL_NONE;
  }
  PG_CATCH();
  {
    forget_error();
  }
  PG_END_TRY();
  return yes;
}

static void fetch_page(const Wanted* wanted) {
  PGAlignedBlock page;
  PageRead read;

  PG_TRY();
  {
    read = page_client_begin_read(wanted->node, wanted->fork, wanted->block,
                                  argon_not_modified_since(wanted->node, wanted->fork, wanted->block));
    page_client_end_read(&read, page.data);
    if (!PageIsNew(page.data)) PageSetChecksumInplace(page.data, wanted->block);
    file_cache_fill(wanted->node, wanted->fork, wanted->block, page.data, &wanted->miss);
    pg_atomic_fetch_add_u64(&prewarm->fetched, 1);
  }
  PG_CATCH();
  {
    forget_error();
    pg_atomic_fetch_add_u64(&prewarm->left_out, 1);
  }
  PG_END_TRY();
}

static void look_at_signals(void) {
  CHECK_FOR_INTERRUPTS();
  if (!ConfigReloadPending) return;
  ConfigReloadPending = false;
  ProcessConfigFile(PGC_SIGHUP);
}

static void sleep_ms(long ms) {
  (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
}

static void throttle(TimestampTz began, int pages) {
  for (;;) {
    long due =
        argon_prewarm_rate_mb == 0 ? 0 : (long)pages * BLCKSZ * 1000 / ((long)argon_prewarm_rate_mb << 20);
    long left;

    look_at_signals();
    if (argon_prewarm_rate_mb == 0) {
      sleep_ms(1000);
      continue;
    }
    left = due - TimestampDifferenceMilliseconds(began, GetCurrentTimestamp());
    if (left <= 0) return;
    sleep_ms(left);
  }
}

static void fetch_batch(void) {
  TimestampTz began = GetCurrentTimestamp();

  for (int i = 0; i < batched; i++)
    (void)page_client_prefetch(batch[i].node, batch[i].fork, batch[i].block,
                               argon_not_modified_since(batch[i].node, batch[i].fork, batch[i].block));
  page_client_send();
  for (int i = 0; i < batched; i++) fetch_page(&batch[i]);
  throttle(began, batched);
  batched = 0;
}

// False if the cache is off.
static bool take(RelFileNode node, ForkNumber fork, BlockNumber block) {
  Wanted wanted = {node, fork, block, {0}};

  switch (file_cache_wants(node, fork, block, &wanted.miss)) {
    case FILE_CACHE_IS_OFF:
      return false;
    case FILE_CACHE_HAS_IT:
      pg_atomic_fetch_add_u64(&prewarm->present, 1);
      return true;
    case FILE_CACHE_IS_FULL:
      break;
    case FILE_CACHE_WANTS_IT:
      // In this order: a statement that begins after this look makes the miss void.
      if (pg_atomic_read_u32(&prewarm->held_back) != 0 || !can_be_had(node, fork, block)) break;
      batch[batched++] = wanted;
      if (batched == BATCH) fetch_batch();
      return true;
  }
  pg_atomic_fetch_add_u64(&prewarm->left_out, 1);
  return true;
}

static bool take_all(const CacheMap* map) {
  batched = 0;
  for (Size i = 0; i < map->n; i++) {
    const CacheKey* key = &map->entries[i].page.key;

    if (!take(key->node, (ForkNumber)key->fork, key->block)) return false;
    look_at_signals();
  }
  fetch_batch();
  return true;
}

static uint32 list_clock;

static int last_used_first(const void* a, const void* b) {
  uint32 age_a = list_clock - ((const CacheMapEntry*)a)->page.used;
  uint32 age_b = list_clock - ((const CacheMapEntry*)b)->page.used;

  return age_a < age_b ? -1 : age_a > age_b;
}

static void begin_round(const CacheMap* map) {
  HASHCTL info = {.keysize = sizeof(CacheKey), .entrysize = sizeof(ForkSize), .hcxt = round_context};

  pg_atomic_write_u64(&prewarm->total, map->n);
  pg_atomic_write_u64(&prewarm->present, 0);
  pg_atomic_write_u64(&prewarm->fetched, 0);
  pg_atomic_write_u64(&prewarm->left_out, 0);
  pg_atomic_write_u64(&prewarm->ended, 0);
  pg_atomic_write_u64(&prewarm->began, (uint64)GetCurrentTimestamp());
  set_state(RUNNING);
  sizes = hash_create("argon prewarm", 256, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  list_clock = map->header.clock;
  qsort(map->entries, map->n, sizeof(CacheMapEntry), last_used_first);
}

static void end_round(bool whole) {
  pg_atomic_write_u64(&prewarm->ended, (uint64)GetCurrentTimestamp());
  set_state(whole ? DONE : GIVEN_UP);
  ereport(LOG, (errmsg("argon: prewarm %s: of " UINT64_FORMAT " pages " UINT64_FORMAT
                       " were here, " UINT64_FORMAT " were fetched, " UINT64_FORMAT " left out",
                       whole ? "done" : "given up, since the local file cache is off",
                       pg_atomic_read_u64(&prewarm->total), pg_atomic_read_u64(&prewarm->present),
                       pg_atomic_read_u64(&prewarm->fetched), pg_atomic_read_u64(&prewarm->left_out))));
}

static void run_round(void) {
  MemoryContext caller = MemoryContextSwitchTo(round_context);
  char* problem;
  CacheMap* map = cache_map_read(CACHE_MAP_LIST, &problem);

  if (map != NULL) {
    begin_round(map);
    end_round(take_all(map));
  } else {
    set_state(NOTHING_TO_DO);
    if (problem != NULL) {
      ereport(LOG, (errmsg("argon: the local file cache is not prewarmed: %s", problem)));
      (void)cache_map_remove(CACHE_MAP_LIST);
    }
  }
  MemoryContextSwitchTo(caller);
  MemoryContextReset(round_context);
}

static void save_list(void) {
  static bool failed;  // said once
  MemoryContext caller = MemoryContextSwitchTo(round_context);

  if (!file_cache_save_list()) {
    if (!failed)
      ereport(LOG, (errcode_for_file_access(),
                    errmsg("argon: the list of the local file cache's pages could not be written: %m")));
    failed = true;
  }
  MemoryContextSwitchTo(caller);
  MemoryContextReset(round_context);
}

static void on_sigterm(SIGNAL_ARGS) {
  ShutdownRequestPending = true;
  die(postgres_signal_arg);  // ends a wait for the pageserver
}

void argon_prewarm_main(Datum arg) {
  TimestampTz saved = GetCurrentTimestamp();

  (void)arg;
  pqsignal(SIGTERM, on_sigterm);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  round_context = AllocSetContextCreate(TopMemoryContext, "argon prewarm", ALLOCSET_DEFAULT_SIZES);
  prewarm->latch = MyLatch;
  if (pg_atomic_read_u32(&prewarm->state) == WAITING) run_round();
  while (!ShutdownRequestPending) {
    look_at_signals();
    if (pg_atomic_exchange_u32(&prewarm->asked, 0) != 0) run_round();
    if (TimestampDifferenceExceeds(saved, GetCurrentTimestamp(), argon_file_cache_list_interval_s * 1000)) {
      // An unfinished round's list says more.
      if (prewarm_is_done() && file_cache_pages() > 0) save_list();
      saved = GetCurrentTimestamp();
    }
    sleep_ms(1000);
  }
  proc_exit(0);
}

void prewarm_register_worker(void) {
  BackgroundWorker worker = {0};

  if (!is_wanted()) return;
  strlcpy(worker.bgw_name, "argon prewarm worker", BGW_MAXLEN);
  strlcpy(worker.bgw_type, "argon prewarm worker", BGW_MAXLEN);
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
  worker.bgw_start_time = BgWorkerStart_ConsistentState;
  worker.bgw_restart_time = 10;
  argon_library_name(worker.bgw_library_name);
  strlcpy(worker.bgw_function_name, "argon_prewarm_main", BGW_MAXLEN);
  RegisterBackgroundWorker(&worker);
}

// Begins a round with the list that there is. False if there is none.
Datum argon_prewarm(PG_FUNCTION_ARGS) {
  if (prewarm == NULL || !is_wanted())
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("there is no local file cache"),
                    errhint("Set argon.max_file_cache_size and start the endpoint anew.")));
  if (!cache_map_exists(CACHE_MAP_LIST)) PG_RETURN_BOOL(false);
  pg_atomic_write_u32(&prewarm->asked, 1);
  if (prewarm->latch != NULL) SetLatch(prewarm->latch);
  PG_RETURN_BOOL(true);
}

static Datum time_or_null(pg_atomic_uint64* time, bool* null) {
  TimestampTz at = (TimestampTz)pg_atomic_read_u64(time);

  *null = at == 0;
  return TimestampTzGetDatum(at);
}

Datum argon_prewarm_state(PG_FUNCTION_ARGS) {
  ReturnSetInfo* result = (ReturnSetInfo*)fcinfo->resultinfo;
  Datum values[8];
  bool nulls[8] = {false};
  State state;

  if (prewarm == NULL)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("argon must be loaded by shared_preload_libraries")));
  InitMaterializedSRF(fcinfo, 0);
  state = (State)pg_atomic_read_u32(&prewarm->state);
  values[0] =
      CStringGetTextDatum(state == RUNNING && argon_prewarm_rate_mb == 0 ? "paused" : state_names[state]);
  values[1] = Int64GetDatum(file_cache_kept());
  values[2] = Int64GetDatum((int64)pg_atomic_read_u64(&prewarm->total));
  values[3] = Int64GetDatum((int64)pg_atomic_read_u64(&prewarm->present));
  values[4] = Int64GetDatum((int64)pg_atomic_read_u64(&prewarm->fetched));
  values[5] = Int64GetDatum((int64)pg_atomic_read_u64(&prewarm->left_out));
  values[6] = time_or_null(&prewarm->began, &nulls[6]);
  values[7] = time_or_null(&prewarm->ended, &nulls[7]);
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  return (Datum)0;
}
