// What redo leaves differently in minor releases of PostgreSQL 15, read by none of them.

#pragma once

#include "core/base/bytes.h"
#include "core/pg/redo/page_ids.h"

namespace argon::pg::redo {

// Redo of GiST deletions sets F_TUPLES_DELETED up to 15.18, and does not any more in 15.20 (nor natively,
// gist.cc). Clears it in a server's page; false where that is no GiST page with the flag.
inline bool clear_gist_tuples_deleted(ByteSpan page) {
  constexpr size_t kFlags = 8188, kPageId = 8190;
  constexpr uint8_t kTuplesDeleted = 1 << 2;
  if (load_le<uint16_t>(page.data() + kPageId) != kGistPageId || (page[kFlags] & kTuplesDeleted) == 0)
    return false;
  page[kFlags] &= static_cast<uint8_t>(~kTuplesDeleted);
  return true;
}

}  // namespace argon::pg::redo
