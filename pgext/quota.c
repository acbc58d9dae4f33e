#include "quota.h"

#include "fmgr.h"
#include "postmaster/autovacuum.h"

PG_FUNCTION_INFO_V1(argon_cluster_size);

static uint64 size_now(void) {
  return pg_atomic_read_u64(&argon_shared->timeline_bytes) + pg_atomic_read_u64(&argon_shared->grown_bytes);
}

void quota_check(RelFileNode node, ForkNumber fork, BlockNumber block) {
  if (argon_max_cluster_size_mb < 0 || argon_mode != ARGON_PRIMARY || fork != MAIN_FORKNUM || block == 0)
    return;
  if (pg_atomic_read_u64(&argon_shared->timeline_bytes) == 0 || IsAutoVacuumWorkerProcess()) return;
  if (size_now() < (uint64)argon_max_cluster_size_mb << 20) return;
  ereport(ERROR,
          (errcode(ERRCODE_DISK_FULL),
           errmsg("argon: could not extend relation " ARGON_REL_FORMAT ": the cluster has " UINT64_FORMAT
                  " MB, and argon.max_cluster_size is %d MB",
                  ARGON_REL_ARGS(node, fork), size_now() >> 20, argon_max_cluster_size_mb),
           errhint("Remove what is not needed (DROP, TRUNCATE, or DELETE and VACUUM), or raise the limit.")));
}

void quota_note_growth(BlockNumber blocks) {
  pg_atomic_fetch_add_u64(&argon_shared->grown_bytes, (uint64)blocks * BLCKSZ);
}

void quota_note_size(uint64 bytes) {
  if (bytes == 0 || bytes == pg_atomic_read_u64(&argon_shared->timeline_bytes)) return;
  pg_atomic_write_u64(&argon_shared->timeline_bytes, bytes);
  pg_atomic_write_u64(&argon_shared->grown_bytes, 0);
}

Datum argon_cluster_size(PG_FUNCTION_ARGS) {
  if (argon_shared == NULL || pg_atomic_read_u64(&argon_shared->timeline_bytes) == 0) PG_RETURN_NULL();
  PG_RETURN_INT64((int64)size_now());
}
