// explore: many seeds, each in a process of its own, on all cores.

#pragma once

#include <string>
#include <vector>

#include "scenarios/case.h"

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
  bool json = false;  // at the end one JSON object instead of lines
  bool each = false;  // print every seed's JSON line
  // Goes on from runs that reached something new (guide.h), as this seed of the campaign says; the seeds
  // above then count runs, and plain ones begin with the first.
  bool guided = false;
  uint64_t campaign_seed = 1;
  bool twice = false;          // run every seed a second time, with other addresses and other memory
  unsigned max_failures = 20;  // failed seeds; then it stops
};

// The exit code: 0 clean, 1 failures, 3 a seed was not deterministic (and nothing else failed).
int explore(const ExploreOptions& options);

// Where the two runs of a seed differ first, and why; empty where they do not. Two processes apart. `holds`
// (where given): whether the first run does.
std::string find_difference(const scenarios::Case& what, bool* holds = nullptr);

}  // namespace argon::sim
