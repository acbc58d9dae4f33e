// pg_relation_size and its kin look at files by stat. A relation that was not touched since the
// server began has no stub file yet, so these functions, found by name in the server's table of
// built-in functions, first see to the stubs and then do what they always did. pg_database_size
// answers with the pageserver's figure where that is larger than what lies here.
#include "fmgr_table.h"

#include "access/relation.h"
#include "commands/dbcommands.h"
#include "last_written_lsn.h"
#include "page_client.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/relcache.h"

static PGFunction server_relation_size;
static PGFunction server_table_size;
static PGFunction server_indexes_size;
static PGFunction server_total_size;
static PGFunction server_database_size_oid;
static PGFunction server_database_size_name;

static void see_to_stubs(Oid oid, bool with_toast, bool with_indexes);

static void see_to_indexes(Relation relation) {
  List* indexes = RelationGetIndexList(relation);
  ListCell* cell;

  foreach (cell, indexes) see_to_stubs(lfirst_oid(cell), false, false);
  list_free(indexes);
}

static void see_to_stubs(Oid oid, bool with_toast, bool with_indexes) {
  Relation relation = try_relation_open(oid, AccessShareLock);

  if (relation == NULL) return;
  if (RELKIND_HAS_STORAGE(relation->rd_rel->relkind))
    for (ForkNumber fork = MAIN_FORKNUM; fork <= VISIBILITYMAP_FORKNUM; fork++)
      (void)smgrexists(RelationGetSmgr(relation), fork);
  if (with_toast && OidIsValid(relation->rd_rel->reltoastrelid))
    see_to_stubs(relation->rd_rel->reltoastrelid, false, true);
  if (with_indexes) see_to_indexes(relation);
  relation_close(relation, AccessShareLock);
}

static Datum relation_size(PG_FUNCTION_ARGS) {
  see_to_stubs(PG_GETARG_OID(0), false, false);
  return server_relation_size(fcinfo);
}

static Datum table_size(PG_FUNCTION_ARGS) {
  see_to_stubs(PG_GETARG_OID(0), true, false);
  return server_table_size(fcinfo);
}

static Datum indexes_size(PG_FUNCTION_ARGS) {
  see_to_stubs(PG_GETARG_OID(0), false, true);
  return server_indexes_size(fcinfo);
}

static Datum total_size(PG_FUNCTION_ARGS) {
  see_to_stubs(PG_GETARG_OID(0), true, true);
  return server_total_size(fcinfo);
}

// The server's function runs first, since it checks permission.
static Datum larger_database_size(PGFunction server, Oid database, FunctionCallInfo fcinfo) {
  Datum local = server(fcinfo);
  int64 remote;

  if (fcinfo->isnull || !OidIsValid(database)) return local;
  remote = page_client_database_size(database, pg_atomic_read_u64(&argon_shared->default_lsn));
  return Int64GetDatum(Max(DatumGetInt64(local), remote));
}

static Datum database_size_oid(PG_FUNCTION_ARGS) {
  return larger_database_size(server_database_size_oid, PG_GETARG_OID(0), fcinfo);
}

static Datum database_size_name(PG_FUNCTION_ARGS) {
  return larger_database_size(server_database_size_name, get_database_oid(NameStr(*PG_GETARG_NAME(0)), true),
                              fcinfo);
}

void argon_install_size_functions(void) {
  server_relation_size = argon_replace_builtin("pg_relation_size", relation_size);
  server_table_size = argon_replace_builtin("pg_table_size", table_size);
  server_indexes_size = argon_replace_builtin("pg_indexes_size", indexes_size);
  server_total_size = argon_replace_builtin("pg_total_relation_size", total_size);
  server_database_size_oid = argon_replace_builtin("pg_database_size_oid", database_size_oid);
  server_database_size_name = argon_replace_builtin("pg_database_size_name", database_size_name);
}
