#include "core/broker/messages.h"

#include <algorithm>

#include "core/wire/broker.pb.h"

namespace argon::broker {
namespace {

namespace proto = wire::proto;

template <typename Message>
void put_id(Message& to, const TenantTimelineId& id) {
  to.set_tenant_id(id.tenant.bytes.data(), id.tenant.bytes.size());
  to.set_timeline_id(id.timeline.bytes.data(), id.timeline.bytes.size());
}

template <typename Message>
bool take_id(const Message& from, TenantTimelineId& id) {
  if (from.tenant_id().size() != 16 || from.timeline_id().size() != 16) return false;
  std::copy(from.tenant_id().begin(), from.tenant_id().end(), id.tenant.bytes.begin());
  std::copy(from.timeline_id().begin(), from.timeline_id().end(), id.timeline.bytes.begin());
  return true;
}

void put(proto::SafekeeperTimelineInfo& to, const TimelineInfo& info) {
  to.set_safekeeper_id(info.safekeeper.value);
  put_id(to, info.id);
  to.set_term(info.term.value);
  to.set_last_log_term(info.last_log_term.value);
  to.set_configuration_generation(info.generation);
  to.set_flush_lsn(info.flush.value);
  to.set_commit_lsn(info.commit.value);
  to.set_backup_lsn(info.backup.value);
  to.set_remote_consistent_lsn(info.remote_consistent.value);
  to.set_peer_horizon_lsn(info.peer_horizon.value);
  to.set_local_start_lsn(info.local_start.value);
  to.set_standby_horizon(info.standby_horizon.value);
  to.set_safekeeper_connstr(info.wal_address);
  to.set_http_connstr(info.http_address);
  to.set_availability_zone(info.availability_zone);
}

bool take(const proto::SafekeeperTimelineInfo& from, TimelineInfo& info) {
  if (from.safekeeper_id() == 0 || !take_id(from, info.id)) return false;
  info.safekeeper = NodeId(from.safekeeper_id());
  info.term = Term(from.term());
  info.last_log_term = Term(from.last_log_term());
  info.generation = from.configuration_generation();
  info.flush = Lsn(from.flush_lsn());
  info.commit = Lsn(from.commit_lsn());
  info.backup = Lsn(from.backup_lsn());
  info.remote_consistent = Lsn(from.remote_consistent_lsn());
  info.peer_horizon = Lsn(from.peer_horizon_lsn());
  info.local_start = Lsn(from.local_start_lsn());
  info.standby_horizon = Lsn(from.standby_horizon());
  info.wal_address = from.safekeeper_connstr();
  info.http_address = from.http_connstr();
  info.availability_zone = from.availability_zone();
  return true;
}

}  // namespace

void encode_infos(Bytes& out, FrameType type, const std::vector<TimelineInfo>& infos) {
  CHECK(infos.size() <= kInfosPerFrame);
  proto::Publish message;
  for (const TimelineInfo& info : infos) put(*message.add_infos(), info);
  std::string payload = message.SerializeAsString();
  wire::encode_frame(out, static_cast<uint8_t>(type), as_bytes(payload));
}

void encode_subscribe(Bytes& out, const std::optional<TenantTimelineId>& id) {
  proto::Subscribe message;
  if (id) put_id(message, *id);
  std::string payload = message.SerializeAsString();
  wire::encode_frame(out, static_cast<uint8_t>(FrameType::Subscribe), as_bytes(payload));
}

Result<std::vector<TimelineInfo>> parse_infos(ByteView payload) {
  proto::Publish message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return Error(Code::Corrupt, "malformed positions");
  if (static_cast<size_t>(message.infos_size()) > kInfosPerFrame)
    return Error(Code::Corrupt, std::to_string(message.infos_size()) + " positions in one message");
  std::vector<TimelineInfo> infos;
  for (const proto::SafekeeperTimelineInfo& from : message.infos()) {
    TimelineInfo info;
    if (!take(from, info)) return Error(Code::Corrupt, "positions without safekeeper, tenant or timeline");
    infos.push_back(std::move(info));
  }
  return infos;
}

Result<std::optional<TenantTimelineId>> parse_subscribe(ByteView payload) {
  proto::Subscribe message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return Error(Code::Corrupt, "malformed subscription");
  if (message.tenant_id().empty() && message.timeline_id().empty()) return std::optional<TenantTimelineId>();
  TenantTimelineId id;
  if (!take_id(message, id)) return Error(Code::Corrupt, "subscription to a malformed timeline id");
  return std::optional<TenantTimelineId>(id);
}

}  // namespace argon::broker
