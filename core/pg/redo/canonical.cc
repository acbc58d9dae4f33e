#include "core/pg/redo/canonical.h"

#include <cstring>

#include "core/base/check.h"
#include "core/pg/page.h"
#include "core/pg/redo/page.h"

namespace argon::pg::redo {
namespace {

// Heap pages have no special area; their tuples are not padded by whoever makes them.
void zero_padding(Page page) {
  for (uint32_t n = 1, end = page.max_offset(); n <= end; n++) {
    ByteSpan item = page.stored_item(n, 1);
    if (item.empty()) continue;
    size_t from = static_cast<size_t>(item.data() - page.data()) + item.size();
    size_t padding = align8(item.size()) - item.size();
    if (from + padding <= kPageBytes) std::memset(page.data() + from, 0, padding);
  }
}

}  // namespace

void canonicalize(const BlockTag& tag, ByteSpan bytes, const RedoSettings& settings, bool heap_records) {
  CHECK(bytes.size() == kBlockSize);
  Page page(bytes);
  if (page.is_new()) return;
  bool standard_fork = tag.rel.fork == Fork::Main || tag.rel.fork == Fork::Init;
  if (standard_fork && page.header_sane()) {
    if (page.special_bytes() == 0) zero_padding(page);
    if (heap_records || page.lower() > kPageHeaderBytes)
      std::memset(page.data() + page.lower(), 0, static_cast<size_t>(page.upper()) - page.lower());
  }
  if (settings.data_checksums)
    set_page_checksum(bytes, tag.block);
  else
    page.set_checksum(0);
}

}  // namespace argon::pg::redo
