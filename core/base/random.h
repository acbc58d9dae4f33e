// Integer randomness: xoshiro256** seeded by splitmix64, and integer distributions.
//
// The same seed gives the same draws in every build. Streams made by Random::fork(name) are
// independent: a new draw in one does not shift another's. Rule for callers: one draw per
// statement, since C++ leaves the order of evaluation inside an expression open.

#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/time.h"

namespace argon {

// n in d. Decisions use integer ratios, never floating point.
struct Ratio {
  uint32_t n = 0;
  uint32_t d = 1;
};

class Random {
 public:
  explicit Random(uint64_t seed);

  uint64_t next();
  // Uniform in [0, bound). REQUIRES: bound > 0.
  uint64_t below(uint64_t bound);
  // Uniform in [low, high]. REQUIRES: low <= high.
  uint64_t between(uint64_t low, uint64_t high);
  Duration between(Duration low, Duration high);
  bool chance(Ratio ratio);
  // Roughly log-uniform in [low, high]: every power of two as likely as another. REQUIRES: low > 0.
  uint64_t log_uniform(uint64_t low, uint64_t high);
  // Roughly exponential with the given mean, cut at 20 means.
  Duration exponential(Duration mean);
  void fill(ByteSpan out);

  // An independent generator that depends on this one's seed and the name only, not on draws made.
  Random fork(std::string_view name) const;

 private:
  uint64_t seed_;
  uint64_t state_[4];
};

TenantId random_tenant_id(Random& random);
TimelineId random_timeline_id(Random& random);

}  // namespace argon
