// /status and /metrics of one endpoint's sidecar; POST /reload, which answers as LiveConfig::reload() says.

#pragma once

#include <string>

#include "core/compute/live_config.h"
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

// Serves until cancelled. What it borrows outlives it.
Status serve_status(Task& task, Env& env, LiveConfig& config, const EndpointStatus& status);

}  // namespace argon::compute
