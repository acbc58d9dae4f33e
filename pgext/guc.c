// The settings argon.*, and the server's own settings that Argon's promises rest on.
#include "argon.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "page_address.h"
#include "page_pipeline.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "single_user.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/pg_lsn.h"

char* argon_tenant_id;
char* argon_timeline_id;
char* argon_sidecar_socket;
int argon_mode = ARGON_PRIMARY;
XLogRecPtr argon_static_lsn = InvalidXLogRecPtr;
bool argon_shadow;
int argon_max_local_pages;
int argon_pageserver_timeout_s;
int argon_max_write_lag_mb;
int argon_max_flush_lag_mb;
int argon_read_lease_ms;
int argon_last_written_cache_size;
int argon_prefetch_window;
int argon_readahead_window;
int argon_max_cluster_size_mb;
bool argon_explain;
int argon_max_file_cache_size_mb;
int argon_file_cache_size_mb;
char* argon_file_cache_path;
bool argon_autoprewarm;
int argon_prewarm_rate_mb;
int argon_file_cache_list_interval_s;

static char* static_lsn_text;
static char* connstring_text;

static const struct config_enum_entry mode_options[] = {{"primary", ARGON_PRIMARY, false},
                                                        {"static", ARGON_STATIC, false},
                                                        {"replica", ARGON_REPLICA, false},
                                                        {NULL, 0, false}};

static bool check_id(char** value, void** extra, GucSource source) {
  const char* text = *value;

  (void)extra;
  (void)source;
  if (text[0] == '\0') return true;
  if (strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32) return true;
  GUC_check_errdetail("An id is 32 hexadecimal digits in lower case.");
  return false;
}

static bool check_lsn(char** value, void** extra, GucSource source) {
  bool have_error = false;

  (void)extra;
  (void)source;
  if ((*value)[0] == '\0') return true;
  (void)pg_lsn_in_internal(*value, &have_error);
  if (have_error)
    GUC_check_errdetail("An LSN is two hexadecimal numbers with a slash between, as in 0/16F9A00.");
  return !have_error;
}

static bool check_connstring(char** value, void** extra, GucSource source) {
  (void)extra;
  (void)source;
  if (strlen(*value) < PAGE_ADDRESS_BYTES) return true;
  GUC_check_errdetail("It is longer than %d bytes.", PAGE_ADDRESS_BYTES - 1);
  return false;
}

static void assign_connstring(const char* value, void* extra) {
  (void)extra;
  if (value != NULL && value[0] != '\0' && !IsUnderPostmaster) page_address_set(value);
}

static void assign_static_lsn(const char* value, void* extra) {
  bool have_error = false;

  (void)extra;
  argon_static_lsn =
      value == NULL || value[0] == '\0' ? InvalidXLogRecPtr : pg_lsn_in_internal(value, &have_error);
}

static void define_string(const char* name, const char* what, char** variable, GucContext context,
                          GucStringCheckHook check, GucStringAssignHook assign) {
  DefineCustomStringVariable(name, what, NULL, variable, "", context, 0, check, assign, NULL);
}

static void define_int(const char* name, const char* what, int* variable, int start, int min, int max,
                       GucContext context, int flags) {
  DefineCustomIntVariable(name, what, NULL, variable, start, min, max, context, flags, NULL, NULL, NULL);
}

void argon_define_settings(void) {
  define_string("argon.pageserver_connstring", "How to reach the pageserver, as 'host=... port=...'.",
                &connstring_text, PGC_SIGHUP, check_connstring, assign_connstring);
  define_string("argon.tenant_id", "The tenant.", &argon_tenant_id, PGC_POSTMASTER, check_id, NULL);
  define_string("argon.timeline_id", "The timeline.", &argon_timeline_id, PGC_POSTMASTER, check_id, NULL);
  define_string("argon.sidecar_socket", "The unix socket of the sidecar that started this server.",
                &argon_sidecar_socket, PGC_POSTMASTER, NULL, NULL);
  DefineCustomEnumVariable("argon.mode", "What this endpoint is.", NULL, &argon_mode, ARGON_PRIMARY,
                           mode_options, PGC_POSTMASTER, 0, NULL, NULL, NULL);
  define_string("argon.static_lsn", "The LSN that a static endpoint shows.", &static_lsn_text, PGC_POSTMASTER,
                check_lsn, assign_static_lsn);
  DefineCustomBoolVariable("argon.shadow",
                           "Keeps a plain copy of every evicted page and compares it on re-read.", NULL,
                           &argon_shadow, false, PGC_POSTMASTER, 0, NULL, NULL, NULL);
  define_int("argon.max_local_pages", "Pages kept in local files before full images are logged instead.",
             &argon_max_local_pages, 131072, 1, INT_MAX / 2, PGC_SIGHUP, 0);
  define_int("argon.last_written_lsn_cache_size", "Pages whose last-written LSN is remembered.",
             &argon_last_written_cache_size, 131072, 1024, 1 << 24, PGC_POSTMASTER, 0);
  define_int("argon.max_file_cache_size",
             "Memory is reserved for a local file cache of this size (0: there is none).",
             &argon_max_file_cache_size_mb, 0, 0, INT_MAX / 2, PGC_POSTMASTER, GUC_UNIT_MB);
  define_int("argon.file_cache_size",
             "Size of the local file cache, in steps of 16 MB (0: off), up to argon.max_file_cache_size.",
             &argon_file_cache_size_mb, INT_MAX / 2, 0, INT_MAX / 2, PGC_SIGHUP, GUC_UNIT_MB);
  DefineCustomStringVariable("argon.file_cache_path",
                             "The file of the local file cache; its map lies beside it.", NULL,
                             &argon_file_cache_path, "argon_file_cache", PGC_POSTMASTER, 0, NULL, NULL, NULL);
  DefineCustomBoolVariable("argon.autoprewarm",
                           "Fetches what the file cache of the server before had, after the start.", NULL,
                           &argon_autoprewarm, true, PGC_POSTMASTER, 0, NULL, NULL, NULL);
  define_int("argon.prewarm_rate", "Megabytes a second that a prewarm fetches at most (0: it pauses).",
             &argon_prewarm_rate_mb, 64, 0, 1 << 20, PGC_SIGHUP, 0);
  define_int("argon.file_cache_list_interval", "How often the list for the next prewarm is written.",
             &argon_file_cache_list_interval_s, 60, 1, 86400, PGC_SIGHUP, GUC_UNIT_S);
  define_int("argon.max_cluster_size", "How large all relations may be together (-1: no limit).",
             &argon_max_cluster_size_mb, -1, -1, INT_MAX / 2, PGC_SIGHUP, GUC_UNIT_MB);
  DefineCustomBoolVariable("argon.explain", "EXPLAIN (ANALYZE, BUFFERS) also shows where pages came from.",
                           NULL, &argon_explain, false, PGC_USERSET, 0, NULL, NULL, NULL);
  define_int("argon.prefetch_window",
             "Pages that a session may ask for before it reads them (0: prefetch is off).",
             &argon_prefetch_window, 512, 0, PIPELINE_SLOTS - 1, PGC_USERSET, 0);
  define_int("argon.readahead_window", "Pages asked for ahead of a sequential reader at most (0: none).",
             &argon_readahead_window, 256, 0, PIPELINE_SLOTS - 1, PGC_USERSET, 0);
  define_int("argon.pageserver_timeout", "How long a read waits for the pageserver before it fails.",
             &argon_pageserver_timeout_s, 300, 1, 86400, PGC_USERSET, GUC_UNIT_S);
  define_int("argon.max_write_lag",
             "WAL the pageserver may be behind before writers are slowed down (0: no limit).",
             &argon_max_write_lag_mb, 64, 0, INT_MAX / 2, PGC_SIGHUP, GUC_UNIT_MB);
  define_int("argon.max_flush_lag", "The same for WAL not yet on the pageserver's disk (0: no limit).",
             &argon_max_flush_lag_mb, 10240, 0, INT_MAX / 2, PGC_SIGHUP, GUC_UNIT_MB);
  define_int(
      "argon.read_lease",
      "A statement begins only where a quorum of safekeepers confirmed, at most so long ago, that no other "
      "endpoint has taken the timeline over (0: it always begins).",
      &argon_read_lease_ms, 60000, 0, 86400000, PGC_SIGHUP, GUC_UNIT_MS);
  MarkGUCPrefixReserved("argon");
}

// synchronous_commit = local would acknowledge what only this server's throw-away disk has.
static bool check_synchronous_commit(int* value, void** extra, GucSource source) {
  (void)extra;
  (void)source;
  if (*value == SYNCHRONOUS_COMMIT_LOCAL_FLUSH) *value = SYNCHRONOUS_COMMIT_REMOTE_FLUSH;
  return true;
}

struct config_generic* argon_find_setting(const char* name) {
  struct config_generic** all = get_guc_variables();
  int n = GetNumConfigOptions();

  for (int i = 0; i < n; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  ereport(FATAL, (errmsg("argon: this server has no setting \"%s\"", name)));
}

static void pin(const char* name, const char* value) {
  SetConfigOption(name, value, PGC_POSTMASTER, PGC_S_OVERRIDE);
}

void argon_pin_settings(void) {
  struct config_enum* commit = (struct config_enum*)argon_find_setting("synchronous_commit");

  if (commit->gen.vartype != PGC_ENUM)
    ereport(FATAL, (errmsg("argon: synchronous_commit is not of the type PostgreSQL 15 gives it")));
  commit->check_hook = check_synchronous_commit;
  if (synchronous_commit == SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
    SetConfigOption("synchronous_commit", "on", PGC_POSTMASTER, PGC_S_FILE);

  // Shared memory knows which pages live here: after a crash the sidecar makes a fresh directory.
  pin("restart_after_crash", "off");
  // The guard sees replication commands by the log's lines of them.
  pin("log_replication_commands", "on");
  if (argon_mode != ARGON_PRIMARY) return;
  if (wal_level < WAL_LEVEL_REPLICA)
    ereport(FATAL, (errmsg("argon: wal_level = minimal leaves out WAL that the pageserver needs"),
                    errhint("Set wal_level to replica or logical.")));
  if (max_wal_senders < 1)
    ereport(FATAL, (errmsg("argon: max_wal_senders must be at least 1, for the worker that ships WAL")));
  // Without a postmaster nobody would release whoever waits (single_user.h).
  pin("synchronous_standby_names", single_user_ships() ? "" : "argon");
  pin("max_slot_wal_keep_size", "-1");
}
