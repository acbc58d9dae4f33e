// Draws that several scenarios share.

#pragma once

#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/pg/constants.h"

namespace argon::scenarios {

// Where a made cluster's WAL begins: for MadeOptions::first_wal. In half of the runs at the start of the
// second segment; else shortly before the end of one, so that segments are made, filled, uploaded and removed
// in a run that writes little.
Lsn draw_first_wal(Random& random);
// For MadeOptions::next_xid. In half of the runs the first one; else shortly before transaction states need
// another page.
pg::Xid draw_next_xid(Random& random);

}  // namespace argon::scenarios
