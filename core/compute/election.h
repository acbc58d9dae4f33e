// Becoming the proposer of a timeline, as every endpoint that writes does it.

#pragma once

#include <memory>
#include <string>

#include "core/compute/proposer_driver.h"

namespace argon::compute {

struct ElectionConfig {
  ProposerDriverConfig driver;  // its min_term is raised to the last term won
  std::string state_path;       // of compute.state (compute_state.h)
};

// Tries until elected: a lost attempt (somebody else campaigns too) is followed by another after a random
// pause, with a higher term, 20 times at most. The driver's fibers live in `scope`. Errors: Stale; Cancelled;
// of the state's file.
Result<std::unique_ptr<ProposerDriver>> win_election(Task& task, Scope& scope, Env& env, Logger log,
                                                     ElectionConfig config);

}  // namespace argon::compute
