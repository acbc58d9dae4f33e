// Statements that change relation files behind the storage manager's back, and those that end a
// prepared transaction (whose wait for the quorum is not inside a transaction's own commit).
#include "argon.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_tablespace.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "file_cache.h"
#include "last_written_lsn.h"
#include "local_pages.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "prewarm.h"
#include "read_lease.h"
#include "relation.h"
#include "shadow.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

static ProcessUtility_hook_type next_utility;

// What the statement is about, looked up before it runs.
typedef struct Affected {
  Oid database;
  Oid old_tablespace;
  Oid new_tablespace;
} Affected;

// A database that is being moved: the statement commits, and lets others in, before it returns.
static const Affected* moving;

static Oid default_tablespace_of(Oid database) {
  HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
  Oid tablespace = InvalidOid;

  if (HeapTupleIsValid(tuple)) {
    tablespace = ((Form_pg_database)GETSTRUCT(tuple))->dattablespace;
    ReleaseSysCache(tuple);
  }
  return tablespace;
}

// Where an ALTER DATABASE moves it, or null.
static DefElem* new_place_of(Node* statement) {
  ListCell* cell;

  if (!IsA(statement, AlterDatabaseStmt)) return NULL;
  foreach (cell, ((AlterDatabaseStmt*)statement)->options)
    if (strcmp(((DefElem*)lfirst(cell))->defname, "tablespace") == 0) return lfirst(cell);
  return NULL;
}

static bool moves_database(Node* statement) {
  return new_place_of(statement) != NULL;
}

// True if a relation of this database with files, or a database, lies in the tablespace.
static bool has_files(Oid catalog, AttrNumber column, Oid tablespace) {
  Relation relation = table_open(catalog, AccessShareLock);
  bool found = false;
  ScanKeyData key;
  SysScanDesc scan;
  HeapTuple tuple;

  ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(tablespace));
  scan = systable_beginscan(relation, InvalidOid, false, NULL, 1, &key);
  while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
    found = catalog != RelationRelationId || RELKIND_HAS_STORAGE(((Form_pg_class)GETSTRUCT(tuple))->relkind);
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return found;
}

// The server looks for files; a relation not touched since the start has none here. What does not
// show in this database's catalogs is left to the server's own checks.
static void refuse_to_drop_used_tablespace(DropTableSpaceStmt* statement) {
  Oid tablespace = get_tablespace_oid(statement->tablespacename, true);
  char* detail;
  char* detail_log;

  if (!OidIsValid(tablespace)) return;
  // Dependencies that the server finds by itself get its own message.
  if (checkSharedDependencies(TableSpaceRelationId, tablespace, &detail, &detail_log)) return;
  if (has_files(RelationRelationId, Anum_pg_class_reltablespace, tablespace) ||
      has_files(DatabaseRelationId, Anum_pg_database_dattablespace, tablespace))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("tablespace \"%s\" is not empty", statement->tablespacename)));
}

static bool copies_files(Node* statement) {
  ListCell* cell;

  if (!IsA(statement, CreatedbStmt)) return false;
  foreach (cell, ((CreatedbStmt*)statement)->options) {
    DefElem* option = lfirst(cell);

    if (strcmp(option->defname, "strategy") == 0)
      return pg_strcasecmp(defGetString(option), "file_copy") == 0;
  }
  return false;
}

// What the file cache may have of an earlier database of the same number, or of the same one in the same
// tablespace, goes before the statement: the new files are nobody's until it is done, and may be somebody's
// before it returns.
static void forget_cached(Node* statement, const Affected* affected) {
  if (copies_files(statement)) file_cache_forget_all();
  if (moves_database(statement) && OidIsValid(affected->database)) {
    file_cache_forget_database(affected->database);
    shadow_forget_database(affected->database);
  }
}

static void before(Node* statement, Affected* affected) {
  if (IsA(statement, DropdbStmt))
    affected->database = get_database_oid(((DropdbStmt*)statement)->dbname, true);
  if (IsA(statement, DropTableSpaceStmt)) refuse_to_drop_used_tablespace((DropTableSpaceStmt*)statement);
  if (moves_database(statement)) {
    affected->database = get_database_oid(((AlterDatabaseStmt*)statement)->dbname, true);
    affected->old_tablespace = default_tablespace_of(affected->database);
    affected->new_tablespace = get_tablespace_oid(defGetString(new_place_of(statement)), true);
    if (OidIsValid(affected->database) && OidIsValid(affected->new_tablespace)) moving = affected;
  }
  forget_cached(statement, affected);
}

// Pages are under their new names, by a WAL record that names none; nobody else has seen them yet.
static void finish_move(void) {
  if (moving == NULL) return;
  last_written_lsn_raise_default(argon_insert_lsn());
  local_pages_move_database(moving->database, moving->old_tablespace, moving->new_tablespace);
  relation_locality_changed();
  moving = NULL;
}

static void on_transaction(XactEvent event, void* unused) {
  if (event == XACT_EVENT_PRE_COMMIT) finish_move();
}

static void after(Node* statement, const Affected* affected) {
  // Pages came to be under new names, by WAL records that name no page.
  if (IsA(statement, CreatedbStmt)) last_written_lsn_raise_default(argon_insert_lsn());
  if (IsA(statement, DropdbStmt) && OidIsValid(affected->database)) {
    local_pages_forget_database(affected->database, InvalidOid);
    shadow_forget_database(affected->database);
    relation_locality_changed();
  }
}

static bool ends_prepared(Node* statement) {
  TransactionStmtKind kind;

  if (!IsA(statement, TransactionStmt)) return false;
  kind = ((TransactionStmt*)statement)->kind;
  return kind == TRANS_STMT_COMMIT_PREPARED || kind == TRANS_STMT_ROLLBACK_PREPARED;
}

// A transaction ends, and a session is set up, also where nobody answers.
static bool needs_no_lease(Node* statement) {
  return IsA(statement, TransactionStmt) || IsA(statement, VariableSetStmt) ||
         IsA(statement, VariableShowStmt);
}

static void run(PlannedStmt* statement, const char* text, bool read_only, ProcessUtilityContext context,
                ParamListInfo params, QueryEnvironment* environment, DestReceiver* dest,
                QueryCompletion* completion) {
  if (next_utility != NULL)
    next_utility(statement, text, read_only, context, params, environment, dest, completion);
  else
    standard_ProcessUtility(statement, text, read_only, context, params, environment, dest, completion);
}

// With what is to be done before and after it.
static void run_between(PlannedStmt* planned, const char* text, bool read_only, ProcessUtilityContext context,
                        ParamListInfo params, QueryEnvironment* environment, DestReceiver* dest,
                        QueryCompletion* completion) {
  Affected affected = {0};

  before(planned->utilityStmt, &affected);
  run(planned, text, read_only, context, params, environment, dest, completion);
  after(planned->utilityStmt, &affected);
}

static void on_utility(PlannedStmt* planned, const char* text, bool read_only, ProcessUtilityContext context,
                       ParamListInfo params, QueryEnvironment* environment, DestReceiver* dest,
                       QueryCompletion* completion) {
  Node* statement = planned->utilityStmt;

  if (!needs_no_lease(statement)) read_lease_wait();
  if (argon_mode != ARGON_PRIMARY) {
    run(planned, text, read_only, context, params, environment, dest, completion);
    return;
  }
  if (ends_prepared(statement)) {
    argon_hold_commit();
    PG_TRY();
    {
      run(planned, text, read_only, context, params, environment, dest, completion);
      argon_after_prepared();
    }
    PG_FINALLY();
    {
      argon_release_commit();
    }
    PG_END_TRY();
    return;
  }
  if (copies_files(statement) || moves_database(statement)) {
    prewarm_hold_back();
    PG_TRY();
    {
      run_between(planned, text, read_only, context, params, environment, dest, completion);
    }
    PG_FINALLY();
    {
      moving = NULL;
      prewarm_let_go();
    }
    PG_END_TRY();
    return;
  }
  run_between(planned, text, read_only, context, params, environment, dest, completion);
}

void argon_install_utility_hook(void) {
  next_utility = ProcessUtility_hook;
  ProcessUtility_hook = on_utility;
  RegisterXactCallback(on_transaction, NULL);
}
