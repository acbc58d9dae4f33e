// explore: many seeds, each in a process of its own, on all cores.

#pragma once

#include <string>
#include <vector>

#include "scenarios/scenario.h"

namespace argon::sim {

struct ExploreOptions {
  std::vector<const scenarios::Scenario*> what;
  uint64_t first_seed = 1;
  uint64_t last_seed = UINT64_MAX;
  int64_t for_seconds = 0;  // 0: until the seeds are done
  unsigned jobs = 1;
  Duration length = Duration::seconds(60);
  std::string failures = "argon-sim-failures";  // folder for what was found
  bool progress = true;
  bool each = false;           // print every seed's JSON line
  unsigned max_failures = 20;  // then it stops
};

// The exit code: 0 clean, 1 failures.
int explore(const ExploreOptions& options);

}  // namespace argon::sim
