// The form in which a redone page leaves: the same bytes whatever base its chain began from.
//
// Redo leaves garbage where PostgreSQL does: in the hole between line pointers and items, and in the
// padding behind heap tuples. What lies there depends on history (an image has a zero hole,
// incremental redo keeps stale bytes), so two pageservers, or one before and after compaction, would
// give different bytes for one page at one LSN. canonicalize() zeroes them, and sets the checksum.

#pragma once

#include "core/base/bytes.h"
#include "core/pg/redo/settings.h"
#include "core/pg/rel.h"

namespace argon::pg::redo {

// Call it on output (and before an image is stored), never between two records of a chain. Pages whose
// layout is not the standard one (visibility and free space map, SP-GiST and BRIN pages that keep
// data in the hole: pd_lower says so) keep all their bytes. So does a page without special area and line
// pointers, which an extension may have laid out in a way of its own, unless heap_records: a record of the
// heap's resource managers was applied to it, so that it is an emptied heap page. A new page stays as it is.
// REQUIRES: page.size() == kBlockSize.
void canonicalize(const BlockTag& tag, ByteSpan page, const RedoSettings& settings, bool heap_records);

}  // namespace argon::pg::redo
