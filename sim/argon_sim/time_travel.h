// replay --to: a run as it stood at a point of virtual time. why: when its failure became inevitable, and by
// what.
//
// Both run the case again from its beginning: a run is a function of its case, so that every point of it can
// be reached, and no snapshot needs to be kept.

#pragma once

#include <string>

#include "sim/argon_sim/runs.h"

namespace argon::sim {

// A point of a run: "12.5" seconds, "750ms", "123us", or "@N": after N events. Invalid says what was
// expected.
struct Point {
  Duration time = Duration::max();
  uint64_t event = UINT64_MAX;
};
Result<Point> parse_point(const std::string& text);

// Prints nodes, faults in force and to come, what was claimed durable, and the latest log lines and events.
// Exit code 0, also where the run ends earlier, which it says.
int show_point(const scenarios::Case& what, const Point& to);

// The last event before which some other continuation (the same plan, other chances from there on) avoids the
// failure, while after it none of those tried does. Bisects over the run's events: what is found is the last
// such event up to chance, which the numbers that it prints let one judge. Exit code 0 found, 1 the run
// holds.
int why(const scenarios::Case& what, unsigned jobs, bool progress);

}  // namespace argon::sim
