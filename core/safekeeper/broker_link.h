// Tells the broker this safekeeper's positions, and its timelines what peers say of theirs.

#pragma once

#include <map>

#include "core/broker/client.h"
#include "core/safekeeper/timelines.h"

namespace argon::safekeeper {

class BrokerLink {
 public:
  BrokerLink(Env& env, const SafekeeperConfig& config, Timelines& timelines)
      : env_(env), config_(config), timelines_(timelines), log_(env.log()) {}

  // Until cancelled; connects again, after a growing pause, when the connection is lost.
  Status run(Task& task);

 private:
  Status talk(Task& task, broker::BrokerClient& client);
  Status publish_loop(Task& task, broker::BrokerClient& client);
  Status receive_loop(Task& task, broker::BrokerClient& client);
  // What is told of a timeline, and changes.
  struct Positions {
    consensus::MemberReport report;
    Lsn commit, backup, remote_consistent, peer_horizon, local_start;
    friend bool operator==(const Positions&, const Positions&) = default;
  };
  struct Told {
    Positions positions;
    MonotonicTime at;
  };
  static Positions positions_of(const Timeline& timeline);
  broker::TimelineInfo to_info(const TenantTimelineId& id, const Positions& positions) const;
  std::vector<broker::TimelineInfo> news(std::map<TenantTimelineId, Told>& told) const;

  Env& env_;
  const SafekeeperConfig& config_;
  Timelines& timelines_;
  Logger log_;
};

}  // namespace argon::safekeeper
