// Hides from a page what WAL does not promise, so that two states of it may be compared.
//
// With wal_consistency_checking a server writes the image that each block must have after a
// record; masked the same way, redo's page and that image must be equal. Mirrors the rm_mask
// functions and access/common/bufmask.c of PostgreSQL 15, with one difference: pages of the
// visibility map, of which the server compares nothing, keep all but their LSN and checksum.

#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/pg/wal_record.h"

namespace argon::pg::redo {

// Masks `page`, a block of a record of resource manager `rmid`. Code::Corrupt if its header is out
// of order. Never touches bytes outside the page. REQUIRES: page.size() == kBlockSize.
Status mask_for_consistency(uint8_t rmid, const BlockTag& tag, ByteSpan page);

// Whether the record's block carries an image to compare with (and not to apply).
inline bool has_consistency_image(const DecodedBlock& block) {
  return block.has_image && !block.apply_image;
}

}  // namespace argon::pg::redo
