#include "core/pageserver/memory_layer.h"

#include <algorithm>

#include "core/pageserver/value.h"

namespace argon::pageserver {

namespace {
constexpr size_t kChunk = 64 * 1024;
}

ByteView MemoryLayer::keep(ByteView value) {
  if (chunks_.empty() || chunks_.back().capacity() - chunks_.back().size() < value.size()) {
    chunks_.emplace_back();
    chunks_.back().reserve(std::max(kChunk, value.size()));
  }
  Bytes& chunk = chunks_.back();
  size_t at = chunk.size();
  append(chunk, value);
  return ByteView(chunk.data() + at, value.size());
}

void MemoryLayer::put(const Key& key, Lsn lsn, ByteView value) {
  CHECK(end_ == Lsn::max() && lsn >= begin_ && !value.empty());
  std::vector<Entry>& versions = entries_[key];
  CHECK(versions.empty() || versions.back().lsn <= lsn, "a version older than the newest one");
  bytes_ += value.size();
  if (!versions.empty() && versions.back().lsn == lsn)
    versions.back().value = keep(value);
  else
    versions.push_back({lsn, keep(value)});
}

bool MemoryLayer::collect(const Key& key, Lsn low, Lsn high, std::vector<Version>& out) const {
  auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  const std::vector<Entry>& versions = found->second;
  auto at = std::ranges::lower_bound(versions, high, {}, &Entry::lsn);
  while (at != versions.begin()) {
    --at;
    if (at->lsn < low) return false;
    out.push_back({at->lsn, to_bytes(at->value)});
    if (ends_chain(at->value)) return true;
  }
  return false;
}

}  // namespace argon::pageserver
