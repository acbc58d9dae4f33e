// The broker: passes safekeepers' positions on to whoever wants to know. It keeps nothing.
//
// Positions are published again and again, so what a subscriber misses comes again. Memory is bounded: for
// each subscriber only the newest info of each (safekeeper, timeline) waits, up to a number of those; beyond
// it the one that waited longest is dropped. A broker that is gone for an hour harms nobody for good:
// safekeepers go on without each other's news, pageservers keep the safekeeper they have.

#pragma once

#include "core/base/time.h"
#include "core/env/env.h"
#include "core/env/network.h"

namespace argon::broker {

struct BrokerConfig {
  Address listen;
  Address listen_http;  // /v1/status, /metrics
  size_t connections_max = 4096;
  size_t waiting_max = 65'536;  // infos waiting for one subscriber
  Duration idle_timeout =
      Duration::seconds(60);  // a publisher that says nothing is cut off; subscribers are not
  Duration write_timeout = Duration::seconds(20);  // a subscriber that takes nothing is cut off
};

// Serves until the task is cancelled. Errors: what listening said.
Status run_broker(Task& task, Env& env, const BrokerConfig& config);

}  // namespace argon::broker
