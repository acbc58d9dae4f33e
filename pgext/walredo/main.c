// The stock server as WAL redo process:
// LD_PRELOAD=argon_walredo.so postgres --walredo [--hints] [--libraries=NAME,...]
//
// The library takes the place of the server's main() where the first argument is --walredo; else it does
// nothing. No data directory, no configuration, no other process; runs as any user. --hints: the cluster has
// checksums or wal_log_hints, so that setting a page all-visible moves its LSN. --libraries: of extensions,
// loaded as by shared_preload_libraries, for the records of their resource managers.
#define _GNU_SOURCE
#include "walredo.h"

#include <dlfcn.h>
#include <locale.h>

#include "access/rmgr.h"
#include "access/twophase.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogutils.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker_internals.h"
#include "postmaster/postmaster.h"
#include "replication/walsender.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

PG_MODULE_MAGIC;

typedef int (*MainFunction)(int, char**, char**);
typedef int (*StartMain)(MainFunction, int, char**, void (*)(void), void (*)(void), void (*)(void), void*);
int __libc_start_main(MainFunction, int, char**, void (*)(void), void (*)(void), void (*)(void), void*);

static void set_limits(bool hints) {
  MaxConnections = 1;
  max_worker_processes = 0;
  max_parallel_workers = 0;
  max_wal_senders = 0;
  autovacuum_max_workers = 1;
  max_prepared_xacts = 0;
  NBuffers = 32;  // the target, and the few pages that a record touches beside it
  XLOGbuffers = 8;
  wal_log_hints = hints;
  InitializeMaxBackends();
}

typedef struct Options {
  bool hints;
  const char* libraries;
} Options;

static Options parse_options(int argc, char** argv) {
  static const char libraries[] = "--libraries=";
  Options options = {false, ""};

  for (int i = 2; i < argc; i++) {
    if (strcmp(argv[i], "--hints") == 0)
      options.hints = true;
    else if (strncmp(argv[i], libraries, strlen(libraries)) == 0)
      options.libraries = argv[i] + strlen(libraries);
    else
      ereport(FATAL, (errmsg("argon walredo: unknown option %s", argv[i])));
  }
  return options;
}

static int redo_main(int argc, char** argv, char** environment) {
  Options options;

  progname = "postgres";
  MyProcPid = getpid();
  MemoryContextInit();
  InitStandaloneProcess(argv[0]);
  InitializeGUCOptions();
  argon_find_smgr_table();
  argon_swap_smgr_table();
  options = parse_options(argc, argv);
  SetConfigOption("shared_preload_libraries", options.libraries, PGC_POSTMASTER, PGC_S_ARGV);
  process_shared_preload_libraries();
  set_limits(options.hints);
  process_shmem_requests();
  walredo_make_shared_memory();
  PgStartTime = GetCurrentTimestamp();
  InitAuxiliaryProcess();
  SetProcessingMode(NormalProcessing);
  InRecovery = true;
  CurrentResourceOwner = ResourceOwnerCreate(NULL, "wal redo");
  InitBufferPoolAccess();
  RmgrStartup();
  PageInit((Page)walredo_other_page.data, BLCKSZ, 0);
  PageSetLSN((Page)walredo_other_page.data, PG_UINT64_MAX);
  // Else a message would open its translation.
  unsetenv("LANGUAGE");
  setlocale(LC_ALL, "C");
  walredo_enter_sandbox();
  walredo_serve();
}

int __libc_start_main(MainFunction server_main, int argc, char** argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void* stack_end) {
  StartMain start = (StartMain)dlsym(RTLD_NEXT, "__libc_start_main");
  bool ours = argc > 1 && strcmp(argv[1], "--walredo") == 0;

  return start(ours ? redo_main : server_main, argc, argv, init, fini, loader_fini, stack_end);
}
