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
    ItemId id = page.item(n);
    uint32_t padding = -uint32_t{id.length()} % 8;
    uint32_t behind = uint32_t{id.offset()} + id.length() + padding;
    if (padding == 0 || id.offset() < kPageHeaderBytes || behind > kPageBytes) continue;
    // The last eight bytes at once: pages are made canonical at each read, and have many items.
    uint8_t* last = page.data() + behind - 8;
    store_le(last, load_le<uint64_t>(last) & (~uint64_t{0} >> (8 * padding)));
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
