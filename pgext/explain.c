// EXPLAIN (ANALYZE, BUFFERS) with argon.explain = on: where the pages of this process came from. What
// parallel workers read is not in it. The server has no hook inside its output, so this stands behind it: as
// lines of text, or as one more object of the list that the other formats are.
#include "argon.h"

#include "commands/explain.h"
#include "executor/instrument.h"
#include "tcop/tcopprot.h"

static ExplainOneQuery_hook_type next_explain;

static const struct {
  ArgonCounter counter;
  const char* label;
} shown[] = {{ARGON_PAGES_READ, "Pages Read From Pageserver"}, {ARGON_PREFETCH_HITS, "Of These Prefetched"},
             {ARGON_FILE_CACHE_HITS, "File Cache Hits"},       {ARGON_LOCAL_PAGES_READ, "Local Pages Read"},
             {ARGON_SIZE_REQUESTS, "Size Requests"},           {ARGON_PAGES_EVICTED, "Pages Evicted"}};

// As ExplainOneQuery of commands/explain.c.
static void explain_plainly(Query* query, int cursor_options, IntoClause* into, ExplainState* es,
                            const char* text, ParamListInfo params, QueryEnvironment* environment) {
  BufferUsage before = pgBufferUsage;
  BufferUsage planning = {0};
  instr_time began;
  instr_time took;
  PlannedStmt* plan;

  INSTR_TIME_SET_CURRENT(began);
  plan = pg_plan_query(query, text, cursor_options, params);
  INSTR_TIME_SET_CURRENT(took);
  INSTR_TIME_SUBTRACT(took, began);
  if (es->buffers) BufferUsageAccumDiff(&planning, &pgBufferUsage, &before);
  ExplainOnePlan(plan, into, es, text, params, environment, &took, es->buffers ? &planning : NULL);
}

static void on_explain(Query* query, int cursor_options, IntoClause* into, ExplainState* es, const char* text,
                       ParamListInfo params, QueryEnvironment* environment) {
  uint64 before[ARGON_COUNTERS];

  memcpy(before, argon_own_counters, sizeof(before));
  if (next_explain != NULL)
    next_explain(query, cursor_options, into, es, text, params, environment);
  else
    explain_plainly(query, cursor_options, into, es, text, params, environment);
  if (!argon_explain || !es->analyze || !es->buffers) return;
  ExplainOpenGroup("Argon", NULL, true, es);
  for (size_t i = 0; i < lengthof(shown); i++) {
    uint64 n = argon_own_counters[shown[i].counter] - before[shown[i].counter];

    if (es->format == EXPLAIN_FORMAT_TEXT)
      appendStringInfo(es->str, "Argon: %s: " UINT64_FORMAT "\n", shown[i].label, n);
    else
      ExplainPropertyInteger(shown[i].label, NULL, (int64)n, es);
  }
  ExplainCloseGroup("Argon", NULL, true, es);
}

void argon_install_explain(void) {
  next_explain = ExplainOneQuery_hook;
  ExplainOneQuery_hook = on_explain;
}
