// What a page says: its header, line pointers, tuples and special area, by access method.
//
// For people and tests, not for the read path: it allocates. Any bytes are accepted; what does not add up is
// listed under "faults" beside what could still be read. Names are PostgreSQL's, in lower case where they are
// struct fields (access/htup_details.h, nbtree.h, ginblock.h, gist.h, hash.h, spgist_private.h, brin_page.h,
// storage/fsm_internals.h and their like of PostgreSQL 15).

#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/base/bytes.h"
#include "core/pg/constants.h"

namespace argon::pg {

enum class PageKind : uint8_t {
  New,
  Heap,
  Sequence,
  Btree,
  Hash,
  Gin,
  Gist,
  SpGist,
  Brin,
  VisibilityMap,
  FreeSpaceMap,
  Unknown,  // its header is not sane, or its special area is no built-in access method's
};
std::string_view to_string(PageKind kind);

// By the fork and the special area; a page does not name its access method in any other way.
// REQUIRES: kBlockSize bytes.
PageKind page_kind(ByteView page, Fork fork, BlockNumber block);

// Keys in this order: "kind", "header", "special" (access methods), "content" (what a page holds beside
// tuples), "items" (one object a line pointer or slot, with "line" or "slot" first), "faults" (texts).
// Bytes are hexadecimal texts, TIDs "(BLOCK,NUMBER)".
// REQUIRES: kBlockSize bytes.
nlohmann::ordered_json describe_page(ByteView page, Fork fork, BlockNumber block);

}  // namespace argon::pg
