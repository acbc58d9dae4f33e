// Who subscribed to what, and what waits for each: the broker without its connections.

#pragma once

#include <list>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/broker/messages.h"

namespace argon::broker {

// One subscriber's queue: the newest info of each (safekeeper, timeline), in the order in which the first of
// them came.
class Mailbox {
 public:
  explicit Mailbox(size_t limit) : limit_(limit) {}

  void subscribe(std::optional<TenantTimelineId> id) { filter_ = Filter{std::move(id)}; }
  bool wants(const TenantTimelineId& id) const { return filter_ && (!filter_->id || *filter_->id == id); }
  bool subscribed() const { return filter_.has_value(); }
  // Replaces an older info of the same key; drops the oldest where it is full.
  void put(const TimelineInfo& info);
  std::vector<TimelineInfo> take(size_t limit);
  bool empty() const { return queue_.empty(); }
  size_t size() const { return queue_.size(); }
  uint64_t dropped() const { return dropped_; }

 private:
  struct Filter {
    std::optional<TenantTimelineId> id;
  };
  using Key = std::pair<NodeId, TenantTimelineId>;

  size_t limit_;
  std::optional<Filter> filter_;
  std::list<TimelineInfo> queue_;
  std::map<Key, std::list<TimelineInfo>::iterator> by_key_;
  uint64_t dropped_ = 0;
};

}  // namespace argon::broker
