// Redo of resource manager Generic: access/transam/generic_xlog.c of PostgreSQL 15.

#include <cstring>

#include "core/pg/redo/context.h"

namespace argon::pg::redo {

// generic_redo, applyPageRedo: pieces of the page (offset, length, bytes), then the hole becomes zero.
Status redo_generic(const Redo& r) {
  if (r.record.type() != 0x00) return unknown_type();
  ByteView delta = r.data();
  while (!delta.empty()) {
    if (delta.size() < 4) return corrupt("page delta ends inside a piece's header");
    size_t offset = load_le<uint16_t>(delta.data());
    size_t length = load_le<uint16_t>(delta.data() + 2);
    delta = delta.subspan(4);
    if (length > delta.size()) return corrupt("page delta ends inside a piece");
    if (offset + length > kPageBytes) return corrupt("page delta reaches outside the page");
    if (length > 0) std::memcpy(r.page.data() + offset, delta.data(), length);
    delta = delta.subspan(length);
  }
  uint16_t lower = r.page.lower();
  uint16_t upper = r.page.upper();
  if (lower > upper || upper > r.page.special() || r.page.special() > kPageBytes)
    return corrupt("page header out of order after the delta: lower " + std::to_string(lower) + ", upper " +
                   std::to_string(upper));
  std::memset(r.page.data() + lower, 0, static_cast<size_t>(upper) - lower);
  return r.done();
}

}  // namespace argon::pg::redo
