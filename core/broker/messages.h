// What travels through the broker: one safekeeper's view of one timeline.
//
// Frames: 'p' Publish (client to broker) and 'i' the same payload (broker to subscriber): up to
// kInfosPerFrame infos; 's' Subscribe (to everything, or one timeline). Payloads are
// core/wire/broker.proto.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/wire/frame.h"

namespace argon::broker {

struct TimelineInfo {
  NodeId safekeeper;
  TenantTimelineId id;
  Term term;
  Term last_log_term;
  uint32_t generation = 0;  // of its configuration
  Lsn flush, commit, backup, remote_consistent;
  Lsn peer_horizon;  // every member has flushed up to here
  Lsn local_start;
  Lsn standby_horizon;
  std::string wal_address;   // HOST:PORT of the WAL service
  std::string http_address;  // HOST:PORT of the management API
  std::string availability_zone;

  friend bool operator==(const TimelineInfo&, const TimelineInfo&) = default;
};

enum class FrameType : uint8_t { Publish = 'p', Subscribe = 's', Infos = 'i' };

inline constexpr size_t kInfosPerFrame = 1000;

// Appends one frame. REQUIRES: at most kInfosPerFrame infos.
void encode_infos(Bytes& out, FrameType type, const std::vector<TimelineInfo>& infos);
// No timeline: everything.
void encode_subscribe(Bytes& out, const std::optional<TenantTimelineId>& id);

// Corrupt for what is malformed.
Result<std::vector<TimelineInfo>> parse_infos(ByteView payload);
Result<std::optional<TenantTimelineId>> parse_subscribe(ByteView payload);

}  // namespace argon::broker
