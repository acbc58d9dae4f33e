// What must not happen to an endpoint: a server of another version, a data directory started by hand
// or a second time, replication connections that copy or acknowledge what is not theirs.
#include "argon.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "nodes/replnodes.h"
#include "page_address.h"
#include "postmaster/postmaster.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "sidecar_link.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

// As in libpq/auth.h and libpq/libpq.h, which would ask for Kerberos headers.
typedef struct PQcommMethods {
  void (*comm_reset)(void);
  int (*flush)(void);
  int (*flush_if_writable)(void);
  bool (*is_send_pending)(void);
  int (*putmessage)(char type, const char* body, size_t n);
  void (*putmessage_noblock)(char type, const char* body, size_t n);
} PQcommMethods;
extern PGDLLIMPORT const PQcommMethods* PqCommMethods;
struct Port;
typedef void (*ClientAuthentication_hook_type)(struct Port*, int);
extern PGDLLIMPORT ClientAuthentication_hook_type ClientAuthentication_hook;

#define CLAIM_FILE "argon.started"
#define HANDSHAKE_MS 5000

XLogRecPtr argon_start_lsn;
uint64 argon_system_id;

static ClientAuthentication_hook_type next_authentication;
static GucStringCheckHook next_application_name;
static emit_log_hook_type next_log;
static const PQcommMethods* server_messages;

bool argon_version_is_supported(int version) {
  return version / 10000 == ARGON_SERVER_MAJOR && version >= ARGON_MIN_SERVER_VERSION;
}

void argon_check_version(void) {
  const char* text = GetConfigOption("server_version_num", false, false);

  if (!argon_version_is_supported(atoi(text)))
    ereport(FATAL,
            (errmsg("argon: this server has version %s; from %d on and below %d is needed", text,
                    ARGON_MIN_SERVER_VERSION, (ARGON_SERVER_MAJOR + 1) * 10000),
             errhint("Before 15.13, commits right after the start do not wait for the synchronous standby. "
                     "Install a newer postgresql-15.")));
}

static void read_control_file(void) {
  bool crc_ok = false;
  ControlFileData* control = get_controlfile(DataDir, &crc_ok);

  if (!crc_ok)
    ereport(FATAL, (errmsg("argon: global/pg_control has a wrong checksum"),
                    errhint("Start the endpoint anew with \"argon endpoint start\".")));
  argon_system_id = control->system_identifier;
  argon_start_lsn = argon_mode == ARGON_REPLICA ? control->checkPointCopy.redo : control->checkPoint;
  // Where the record is the first of its page, the stream begins with the page's header.
  if (XLogSegmentOffset(argon_start_lsn, control->xlog_seg_size) == SizeOfXLogLongPHD)
    argon_start_lsn -= SizeOfXLogLongPHD;
  else if (argon_start_lsn % XLOG_BLCKSZ == SizeOfXLogShortPHD)
    argon_start_lsn -= SizeOfXLogShortPHD;
  pfree(control);
}

static void shake_hands(void) {
  SidecarLink link = {.socket = -1};
  XLogRecPtr from;
  bool refused;

  if (!sidecar_open(&link, HANDSHAKE_MS, &refused, &from))
    ereport(
        FATAL,
        (errmsg("argon: no live sidecar stands behind this data directory"), errdetail("%s", link.problem),
         errhint("It belongs to an Argon endpoint and holds no data by itself: start the endpoint with "
                 "\"argon endpoint start NAME\", never the server by hand.")));
  sidecar_close(&link);
}

// Stub files and pages kept here are right for one run only.
static void refuse_second_start(void) {
  if (access(CLAIM_FILE, F_OK) != 0) return;
  ereport(
      FATAL,
      (errmsg("argon: this data directory was started before"),
       errdetail("An endpoint's directory is good for one start; the file \"%s\" in it says so.", CLAIM_FILE),
       errhint("Start the endpoint with \"argon endpoint start NAME\", which makes a fresh one.")));
}

static void claim(void) {
  int fd = open(CLAIM_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, pg_file_create_mode);

  if (fd < 0)
    ereport(FATAL, (errcode_for_file_access(), errmsg("argon: could not create \"%s\": %m", CLAIM_FILE)));
  close(fd);
}

void argon_claim_data_directory(void) {
  read_control_file();
  refuse_second_start();
  shake_hands();
  claim();
}

static void refuse_physical(int level) {
  char pageserver[PAGE_ADDRESS_BYTES];

  page_address_get(pageserver);
  argon_count(ARGON_WALSENDERS_REFUSED);
  ereport(level, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("argon: an endpoint serves no physical replication and no pg_basebackup"),
                  errdetail("Its files hold no data: the pageserver does."),
                  errhint("Run pg_basebackup against the pageserver (%s), and read WAL from a safekeeper.",
                          pageserver)));
}

// A logical walsender, too, knows BASE_BACKUP and physical START_REPLICATION, and no hook is called for
// them. A backup begins with a switch of WAL and a checkpoint; what comes before those is the log's line that
// tells of the command, which log_replication_commands is pinned for. An error raised there takes the line's
// place.
static void on_log(ErrorData* line) {
  if (next_log != NULL) next_log(line);
  if (!am_walsender || line->message_id == NULL ||
      strcmp(line->message_id, "received replication command: %s") != 0)
    return;
  if (replication_parse_result != NULL && IsA(replication_parse_result, BaseBackupCmd))
    refuse_physical(ERROR);
}

// For the rest, and where log_min_messages leaves out even the log's own lines, the first message of the
// answer is stopped. A backup has its own state by then, and replication announces itself by CopyBoth, with
// its logical slot acquired if it is logical.
static bool answers_physical_command(char type) {
  if (type == 'E' || type == 'N' || MyWalSnd == NULL) return false;
  if (MyWalSnd->state == WALSNDSTATE_BACKUP) return true;
  return type == 'W' && (MyReplicationSlot == NULL || SlotIsPhysical(MyReplicationSlot));
}

static int put_message(char type, const char* body, size_t n) {
  if (answers_physical_command(type)) refuse_physical(ERROR);
  return server_messages->putmessage(type, body, n);
}

static void watch_messages(void) {
  static PQcommMethods watched;

  server_messages = PqCommMethods;
  watched = *server_messages;
  watched.putmessage = put_message;
  PqCommMethods = &watched;
}

// A logical walsender is an ordinary backend, but for these commands and the name of the synchronous standby.
static void on_authentication(struct Port* port, int status) {
  if (next_authentication != NULL) next_authentication(port, status);
  if (!am_walsender) return;
  if (!am_db_walsender) refuse_physical(FATAL);
  watch_messages();
}

static bool check_application_name(char** value, void** extra, GucSource source) {
  if (next_application_name != NULL && !next_application_name(value, extra, source)) return false;
  if (!am_walsender || *value == NULL || pg_strcasecmp(*value, "argon") != 0) return true;
  GUC_check_errdetail(
      "\"argon\" is the synchronous standby's name: another could acknowledge commits in its place.");
  return false;
}

static void guard_application_name(void) {
  struct config_generic** all = get_guc_variables();
  int n = GetNumConfigOptions();

  for (int i = 0; i < n; i++) {
    struct config_string* setting = (struct config_string*)all[i];

    if (strcmp(all[i]->name, "application_name") != 0 || all[i]->vartype != PGC_STRING) continue;
    next_application_name = setting->check_hook;
    setting->check_hook = check_application_name;
  }
}

void argon_install_guard(void) {
  next_authentication = ClientAuthentication_hook;
  ClientAuthentication_hook = on_authentication;
  next_log = emit_log_hook;
  emit_log_hook = on_log;
  guard_application_name();
}
