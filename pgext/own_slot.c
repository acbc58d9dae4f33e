// The replication slot `argon` keeps WAL that no quorum has. It is the endpoint's own: users neither see it
// nor have one slot less for it.
#include "fmgr_table.h"

#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "utils/guc_tables.h"
#include "utils/tuplestore.h"

static PGFunction server_replication_slots;
static int users_slots;

// Without the row of the own slot: of a set that the server's function has just put together.
static Datum replication_slots(PG_FUNCTION_ARGS) {
  Datum result = server_replication_slots(fcinfo);
  ReturnSetInfo* set = (ReturnSetInfo*)fcinfo->resultinfo;
  Tuplestorestate* all = set->setResult;
  TupleTableSlot* row = MakeSingleTupleTableSlot(set->setDesc, &TTSOpsMinimalTuple);
  MemoryContext before = MemoryContextSwitchTo(set->econtext->ecxt_per_query_memory);

  set->setResult = tuplestore_begin_heap((set->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
  MemoryContextSwitchTo(before);
  while (tuplestore_gettupleslot(all, true, false, row)) {
    bool is_null;
    Datum name = slot_getattr(row, 1, &is_null);

    if (is_null || strcmp(NameStr(*DatumGetName(name)), ARGON_SLOT) != 0)
      tuplestore_puttupleslot(set->setResult, row);
  }
  ExecDropSingleTupleTableSlot(row);
  tuplestore_end(all);
  return result;
}

// The server's variable is one more than the setting, which lives elsewhere from now on: so it is shown, and
// compared at a reload, as the user gave it.
static void add_one(void) {
  struct config_int* setting = (struct config_int*)argon_find_setting("max_replication_slots");

  if (setting->gen.vartype != PGC_INT || setting->variable != &max_replication_slots)
    ereport(FATAL, (errmsg("argon: max_replication_slots is not what PostgreSQL 15 has")));
  users_slots = max_replication_slots;
  setting->variable = &users_slots;
  max_replication_slots++;
}

void argon_hide_own_slot(void) {
  if (argon_mode != ARGON_PRIMARY) return;
  server_replication_slots = argon_replace_builtin("pg_get_replication_slots", replication_slots);
  add_one();
}
