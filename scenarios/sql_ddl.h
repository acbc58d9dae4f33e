// Generated SQL that changes tables, indexes and sequences, or rewrites them.

#pragma once

#include "scenarios/sql_draft.h"

namespace argon::scenarios {

void draw_create_table(SqlDraft& draft);
// REQUIRES: there is a table.
void draw_ddl(SqlDraft& draft);

}  // namespace argon::scenarios
