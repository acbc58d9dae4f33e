#include "fmgr_table.h"

#include "smgr_row.h"
#include "utils/fmgrtab.h"

PGFunction argon_replace_builtin(const char* name, PGFunction ours) {
  const FmgrBuiltin* entry = NULL;
  PGFunction server;
  int found = 0;

  for (int i = 0; i < fmgr_nbuiltins; i++)
    if (strcmp(fmgr_builtins[i].funcName, name) == 0) {
      entry = &fmgr_builtins[i];
      found++;
    }
  if (found != 1)
    ereport(FATAL, (errmsg("argon: this build of PostgreSQL has %d built-in functions %s", found, name),
                    errhint("Use the PostgreSQL 15 of the distribution.")));
  server = entry->func;
  argon_overwrite_protected((void*)&entry->func, &ours, sizeof(PGFunction));
  return server;
}
