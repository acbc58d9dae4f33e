// SQL functions of the extension `argon`: what it counted, and how far WAL has come.
#include "argon.h"

#include "access/xlog.h"
#include "file_cache.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"

PG_FUNCTION_INFO_V1(argon_counters);
PG_FUNCTION_INFO_V1(argon_positions);
PG_FUNCTION_INFO_V1(argon_version_supported);

bool argon_version_is_supported(int version);

uint64 argon_own_counters[ARGON_COUNTERS];

static const char* const counter_names[ARGON_COUNTERS] = {
    "pages_read",           "prefetch_requests",  "prefetch_hits",       "prefetch_misses",
    "prefetch_wasted",      "pages_evicted",      "file_cache_hits",     "file_cache_misses",
    "file_cache_evictions", "local_pages_read",   "local_pages_written", "zero_pages_read",
    "fsm_pages_logged",     "fsm_pages_dropped",  "images_logged",       "size_requests",
    "pageserver_connects",  "commits_held",       "second_net_waits",    "backpressure_us",
    "shadow_compares",      "walsenders_refused", "read_lease_waits"};

static void check_loaded(void) {
  if (argon_shared == NULL)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("argon must be loaded by shared_preload_libraries")));
}

static void put(ReturnSetInfo* result, Datum name, Datum value) {
  Datum values[2] = {name, value};
  bool nulls[2] = {false, false};

  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum argon_counters(PG_FUNCTION_ARGS) {
  ReturnSetInfo* result = (ReturnSetInfo*)fcinfo->resultinfo;

  check_loaded();
  InitMaterializedSRF(fcinfo, 0);
  for (int i = 0; i < ARGON_COUNTERS; i++)
    put(result, CStringGetTextDatum(counter_names[i]),
        Int64GetDatum((int64)pg_atomic_read_u64(&argon_shared->counters[i])));
  put(result, CStringGetTextDatum("local_pages_now"),
      Int64GetDatum((int64)pg_atomic_read_u32(&argon_shared->stored_pages)));
  put(result, CStringGetTextDatum("file_cache_pages_now"), Int64GetDatum(file_cache_pages()));
  put(result, CStringGetTextDatum("file_cache_size_mb"), Int64GetDatum(file_cache_size_mb()));
  return (Datum)0;
}

Datum argon_positions(PG_FUNCTION_ARGS) {
  ReturnSetInfo* result = (ReturnSetInfo*)fcinfo->resultinfo;
  struct {
    const char* name;
    XLogRecPtr lsn;
  } all[] = {{"start", argon_start_lsn},
             {"shipped", pg_atomic_read_u64(&argon_shared->shipped_lsn)},
             {"committed", pg_atomic_read_u64(&argon_shared->commit_lsn)},
             {"pageserver_received", pg_atomic_read_u64(&argon_shared->ps_received_lsn)},
             {"pageserver_on_disk", pg_atomic_read_u64(&argon_shared->ps_disk_lsn)},
             {"pageserver_uploaded", pg_atomic_read_u64(&argon_shared->ps_remote_lsn)},
             {"last_written_default", pg_atomic_read_u64(&argon_shared->default_lsn)}};

  check_loaded();
  InitMaterializedSRF(fcinfo, 0);
  for (size_t i = 0; i < lengthof(all); i++)
    put(result, CStringGetTextDatum(all[i].name), LSNGetDatum(all[i].lsn));
  return (Datum)0;
}

// Whether a server_version_num is one that the library starts on.
Datum argon_version_supported(PG_FUNCTION_ARGS) {
  PG_RETURN_BOOL(argon_version_is_supported(PG_GETARG_INT32(0)));
}
