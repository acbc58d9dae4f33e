// Waker: one wake of an endpoint at a time, shared by all who wait for it.

#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/base/metrics.h"
#include "core/fiber/scope.h"
#include "core/fiber/wait_list.h"
#include "core/proxy/proxy.h"

namespace argon::proxy {

class Waker {
 public:
  // The wakes run in `scope`: a client that goes away does not end one that others wait for. Borrows all.
  Waker(Scope& scope, Endpoints& endpoints, Counter& begun)
      : scope_(scope), endpoints_(endpoints), begun_(begun) {}

  // Wakes the endpoint, or waits for the wake under way, and gives its end. Suspends.
  Status wake(Task& task, const std::string& endpoint);

 private:
  struct Wake {
    WaitList waiters;
    bool done = false;
    Status end;
  };

  Scope& scope_;
  Endpoints& endpoints_;
  std::map<std::string, std::shared_ptr<Wake>> under_way_;
  Counter& begun_;
};

}  // namespace argon::proxy
