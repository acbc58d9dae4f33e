#include "core/broker/hub.h"

namespace argon::broker {

void Mailbox::put(const TimelineInfo& info) {
  Key key{info.safekeeper, info.id};
  if (auto waiting = by_key_.find(key); waiting != by_key_.end()) {
    *waiting->second = info;
    return;
  }
  if (queue_.size() >= limit_) {
    by_key_.erase({queue_.front().safekeeper, queue_.front().id});
    queue_.pop_front();
    ++dropped_;
  }
  queue_.push_back(info);
  by_key_[key] = std::prev(queue_.end());
}

std::vector<TimelineInfo> Mailbox::take(size_t limit) {
  std::vector<TimelineInfo> taken;
  while (!queue_.empty() && taken.size() < limit) {
    by_key_.erase({queue_.front().safekeeper, queue_.front().id});
    taken.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return taken;
}

}  // namespace argon::broker
