// When an endpoint may be put to sleep: no client has done anything for a while.
//
// Asks the server itself, by a short connection now and then. Counted as activity: a client's statement or
// open transaction, an autovacuum worker, a logical replication connection, and every new connection, also
// one that came and went between two looks. An idle connection is none: it is closed when the server stops.

#pragma once

#include <string>

#include "core/compute/config.h"
#include "core/env/env.h"

namespace argon::compute {

// What the server said of its clients.
struct Activity {
  bool active = false;      // somebody is at work now
  std::string last_change;  // of the state of any client that is connected
  int64_t connections = 0;  // ever, without ours

  friend bool operator==(const Activity&, const Activity&) = default;
};

// Since when nothing happened, by looks that are some time apart. Pure.
class IdleClock {
 public:
  explicit IdleClock(MonotonicTime now) : since_(now) {}

  void looked(MonotonicTime now, const Activity& activity) {
    if (activity.active || activity != last_) since_ = now;
    last_ = activity;
  }
  // A look that failed tells nothing, so it counts as activity.
  void failed(MonotonicTime now) { since_ = now; }
  Duration idle(MonotonicTime now) const { return now - since_; }

 private:
  MonotonicTime since_;
  Activity last_;
};

// Returns ok once the endpoint has been idle for config.suspend_after, which may change meanwhile; 0: it
// never is. Errors: Cancelled.
Status wait_until_idle(Task& task, Env& env, const ComputeConfig& config);

}  // namespace argon::compute
