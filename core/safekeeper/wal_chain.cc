#include "core/safekeeper/wal_chain.h"

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/pg/wal_page.h"

namespace argon::safekeeper {
namespace {

constexpr size_t kChunk = 128 * 1024;

}  // namespace

ChainLink first_link(const TenantTimelineId& id, Lsn timeline_start) {
  Bytes text;
  Writer(text).bytes(id.tenant.bytes).bytes(id.timeline.bytes).le(timeline_start.value);
  return {timeline_start, hash64(text)};
}

ChainLink next_link(const ChainLink& from, Lsn to, uint32_t crc) {
  Bytes text;
  Writer(text).le(from.hash).le(to.value).le(crc);
  return {to, hash64(text)};
}

const ChainLink* last_link_before(const WalChain& chain, Lsn lsn) {
  auto after = std::ranges::upper_bound(chain, lsn, {}, &ChainLink::at);
  return after == chain.begin() ? nullptr : &*std::prev(after);
}

Result<WalChain> extend_chain(Task& task, ChainLink from, Lsn to, const ReadWal& read) {
  WalChain links;
  Bytes chunk(kChunk);
  while (from.at < to) {
    Lsn end = std::min(to, pg::segment_start(from.at) + pg::kWalSegmentSize);
    uint32_t crc = 0;
    for (Lsn at = from.at; at < end;) {
      TRY_ASSIGN(size_t n, read(task, at, ByteSpan(chunk).first(std::min<uint64_t>(kChunk, end - at))));
      if (n == 0) return Error(Code::NotFound, "no WAL at " + to_string(at));
      crc = crc32c_extend(crc, ByteView(chunk).first(n));
      at += n;
    }
    from = next_link(from, end, crc);
    links.push_back(from);
  }
  return links;
}

}  // namespace argon::safekeeper
