// /status and /metrics of one endpoint's sidecar.

#pragma once

#include <string>

#include "core/compute/config.h"
#include "core/compute/proposer_driver.h"
#include "core/env/env.h"

namespace argon::compute {

struct EndpointStatus {
  std::string state = "starting";  // electing, preparing, running, stopping, stopped
  int pid = 0;                     // of the server, while it runs
  Term term;
  Lsn start;
  const ProposerDriver* driver = nullptr;  // while there is one
};

// Serves until cancelled. `status` outlives it.
Status serve_status(Task& task, Env& env, const ComputeConfig& config, const EndpointStatus& status);

}  // namespace argon::compute
