#include "sim/coverage.h"

#include <bit>

#include "core/env/points.h"

namespace argon::sim {
namespace {

constexpr int64_t kFaultWindow = Duration::seconds(1).ns;
constexpr int64_t kProbeWindow = Duration::seconds(5).ns;
constexpr size_t kBuckets = 64;
// What stands in front of a probe: a kind of fault, no fault, another probe, or how often it was hit.
constexpr size_t kNoFault = faults::kKinds;
constexpr size_t kFirstProbe = kNoFault + 1;
constexpr size_t kFirstBucket = kFirstProbe + kProbeCount;
constexpr size_t kWidth = kFirstBucket + kBuckets;

}  // namespace

Coverage::Coverage() : hit_at_(kProbeCount, kNever), hits_(kProbeCount), noted_(kProbeCount * kWidth) {
  changed_at_.fill(kNever);
}

void Coverage::note(uint32_t id, Duration now, uint64_t event) {
  if (noted_[id]) return;
  noted_[id] = true;
  features_.push_back({id, now, event});
}

void Coverage::hit(size_t probe, Duration now, uint64_t event, const faults::Counters& faults) {
  size_t row = probe * kWidth;
  bool after_fault = false;
  for (size_t kind = 0; kind < faults::kKinds; kind++) {
    uint64_t count = faults[static_cast<faults::Kind>(kind)];
    if (count != counts_[kind]) changed_at_[kind] = now.ns;
    counts_[kind] = count;
    if (changed_at_[kind] == kNever || now.ns - changed_at_[kind] > kFaultWindow) continue;
    after_fault = true;
    note(static_cast<uint32_t>(row + kind), now, event);
  }
  if (!after_fault) note(static_cast<uint32_t>(row + kNoFault), now, event);
  for (size_t other = 0; other < kProbeCount; other++)
    if (other != probe && hit_at_[other] != kNever && now.ns - hit_at_[other] <= kProbeWindow)
      note(static_cast<uint32_t>(row + kFirstProbe + other), now, event);
  hit_at_[probe] = now.ns;
  uint64_t hits = ++hits_[probe];
  if (std::has_single_bit(hits) && hits > 1)
    note(static_cast<uint32_t>(row + kFirstBucket + static_cast<size_t>(std::countr_zero(hits))), now, event);
}

}  // namespace argon::sim
