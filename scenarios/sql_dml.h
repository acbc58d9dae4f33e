// Generated SQL that reads and changes rows.

#pragma once

#include "scenarios/sql_draft.h"

namespace argon::scenarios {

// One or several statements. REQUIRES: there is a table.
void draw_dml(SqlDraft& draft);

}  // namespace argon::scenarios
