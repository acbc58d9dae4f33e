// A hash chain over a timeline's committed WAL: two nodes have the same bytes up to an LSN, from the
// timeline's first on, exactly if they have the same hash there.
//
// A link is the hash at an LSN. The first lies where the timeline begins; each next one hashes the link
// before it, its own LSN, and the CRC-32C of the bytes between. Links that are kept lie at segment starts, so
// the hash at any LSN follows from the last link before it and the WAL of one segment. Committed WAL is never
// cut, so links are made of nothing else, and last: a node keeps those of the segments it has, in its control
// file, and one that joins takes the link where its log begins from whom it copies.

#pragma once

#include <functional>
#include <vector>

#include "core/base/ids.h"
#include "core/env/task.h"

namespace argon::safekeeper {

struct ChainLink {
  Lsn at;
  uint64_t hash = 0;

  friend bool operator==(const ChainLink&, const ChainLink&) = default;
};

using WalChain = std::vector<ChainLink>;  // by LSN

ChainLink first_link(const TenantTimelineId& id, Lsn timeline_start);
// At `to`, where `crc` is the CRC-32C of what lies between. REQUIRES: both in one segment, or `to` its end.
ChainLink next_link(const ChainLink& from, Lsn to, uint32_t crc);
// Null where the chain begins later.
const ChainLink* last_link_before(const WalChain& chain, Lsn lsn);

// Fills what it can, at least a byte, from one segment.
using ReadWal = std::function<Result<size_t>(Task&, Lsn at, ByteSpan into)>;
// The links at each segment start beyond `from` up to `to`, and at `to`. Errors: of `read`; NotFound where it
// gives nothing. Suspends in `read`.
Result<WalChain> extend_chain(Task& task, ChainLink from, Lsn to, const ReadWal& read);

}  // namespace argon::safekeeper
