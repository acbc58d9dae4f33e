// shrink: makes a failing run small. First some small one that fails as well is looked for, with few of the
// plan's faults; then come the fewest faults, then the fewest operations of the workload, then the smallest
// topology and the shortest time. What it ends with fails with the same signature.
//
// Delta debugging (Zeller and Hildebrandt 2002) over the plan's faults. To take something away changes every
// later event, and with it whether a rare interleaving comes about; so each candidate is tried under several
// chances (`reseed 0 SALT` of a case), and the one that fails is kept.

#pragma once

#include <string>

#include "sim/argon_sim/runs.h"

namespace argon::sim {

struct ShrinkOptions {
  scenarios::Case what;
  unsigned jobs = 1;
  int64_t for_seconds = 300;  // then the smallest so far is the answer
  std::string out;            // folder for the result
  bool progress = true;
};

// Exit code: 0 it was made small and kept, 1 the run holds, so there is nothing to shrink.
int shrink(const ShrinkOptions& options);

}  // namespace argon::sim
