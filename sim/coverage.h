// Coverage: what of the product's rare paths a run has reached, and after what. For `explore --guided`, which
// goes on from where a run reached something new.
//
// A feature is one of: a probe that was hit at most a second after a kind of fault has made a difference (or
// after none); a probe hit at most five seconds after another one; a probe hit two, four, eight... times.
// Each is noted once, with the time and the event at which it was reached first. Nothing here draws or
// changes anything of the run.

#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/base/time.h"
#include "faults/kind.h"

namespace argon::sim {

struct Feature {
  uint32_t id = 0;  // the same in all runs of one build
  Duration at;      // virtual time
  uint64_t event = 0;
};

class Coverage {
 public:
  Coverage();

  // The probe (an index into kProbes) was hit now; `faults` says what has made a difference so far.
  void hit(size_t probe, Duration now, uint64_t event, const faults::Counters& faults);
  // In the order in which they were reached.
  const std::vector<Feature>& features() const { return features_; }

 private:
  void note(uint32_t id, Duration now, uint64_t event);

  static constexpr int64_t kNever = -1;
  std::array<uint64_t, faults::kKinds> counts_{};   // when a probe was last hit
  std::array<int64_t, faults::kKinds> changed_at_;  // ns; kNever: it made no difference yet
  std::vector<int64_t> hit_at_;                     // ns, by probe
  std::vector<uint64_t> hits_;
  std::vector<bool> noted_;  // by id
  std::vector<Feature> features_;
};

}  // namespace argon::sim
