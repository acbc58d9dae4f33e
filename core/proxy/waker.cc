#include "core/proxy/waker.h"

namespace argon::proxy {

Status Waker::wake(Task& task, const std::string& endpoint) {
  std::shared_ptr<Wake>& slot = under_way_[endpoint];
  if (slot == nullptr) {
    slot = std::make_shared<Wake>();
    begun_.add();
    scope_.spawn("wake " + endpoint, [this, endpoint, wake = slot](Task& waking) -> Status {
      wake->end = endpoints_.wake(waking, endpoint);
      wake->done = true;
      under_way_.erase(endpoint);
      wake->waiters.notify_all();
      return {};
    });
  }
  std::shared_ptr<Wake> wake = slot;
  while (!wake->done) TRY(wake->waiters.wait(task));
  return wake->end;
}

}  // namespace argon::proxy
