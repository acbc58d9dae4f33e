// What scenarios on a cluster share: faults of some kinds only, things done to machines now and then, and the
// end that every one of them must come to.

#pragma once

#include <functional>
#include <vector>

#include "scenarios/cluster_parts.h"

namespace argon::scenarios {

// Of virtual time, from healing to progress.
inline constexpr Duration kProgressLimit = Duration::seconds(120);

// Draws a plan that has faults of these kinds, and no others, and lets it begin.
void start_faults_of(Run& run, const std::vector<faults::Kind>& kinds, const std::vector<std::string>& nodes);

// Until the run's length is over, calls `act` at random times, on average so far apart. `act` may run the
// world.
void now_and_then(Run& run, Duration apart, const std::function<void()>& act);

// A branch of some line, with a compute of its own, while there are fewer than `most_lines` lines.
void maybe_branch(Cluster& cluster, size_t most_lines);

// Asks for compaction, a checkpoint or garbage collection of some line; whether it works does not matter.
void ask_for_work(Cluster& cluster);

// All kinds of faults for the run's length, and branches with computes meanwhile; then all is healed, there
// is a branch at least, and computes go on for a while. `also`: done now and then meanwhile, from outside of
// tasks.
void live_with_branches(Cluster& cluster, const std::function<void()>& also = nullptr);

// Power loss, and the machine starts on an empty disk.
void replace_disk(sim::Machine& machine);

// Where faults are over: progress, every page, an orderly stop, the same WAL on a majority, a rebuild from
// nothing.
void check_end(Cluster& cluster);
// heal(), then check_end().
void heal_and_check(Cluster& cluster);

}  // namespace argon::scenarios
