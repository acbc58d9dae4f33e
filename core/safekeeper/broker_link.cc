#include "core/safekeeper/broker_link.h"

#include <algorithm>

#include "core/env/points.h"

namespace argon::safekeeper {
namespace {

constexpr Duration kConnectTimeout = Duration::seconds(5);
constexpr Duration kPauseFirst = Duration::milliseconds(100);
constexpr Duration kPauseMax = Duration::seconds(5);
// What has not changed is told again so much later: who has just subscribed waits for it.
constexpr Duration kTellAgain = Duration::seconds(1);

}  // namespace

Status BrokerLink::run(Task& task) {
  Random& random = env_.random("safekeeper.broker");
  Duration pause = kPauseFirst;
  for (;;) {
    Status ended;
    bool connected = false;
    {
      Result<std::unique_ptr<broker::BrokerClient>> client = [&] {
        Deadline deadline(task, kConnectTimeout);
        return broker::BrokerClient::connect(task, *config_.broker);
      }();
      connected = client.ok();
      ended = client.ok() ? talk(task, **client) : Status(client.error());
    }
    if (task.cancelled()) return {};
    pause = connected ? kPauseFirst : std::min(pause * 2, kPauseMax);
    if (connected)
      log_.info("lost the broker: {}", ended.ok() ? "it closed the connection" : ended.error().to_string());
    TRY(task.sleep(random.between(pause / 2, pause)));
  }
}

Status BrokerLink::talk(Task& task, broker::BrokerClient& client) {
  TRY(client.subscribe(task, std::nullopt));
  Scope scope(task);
  scope.spawn("broker publish", [&](Task& t) { return publish_loop(t, client); });
  scope.spawn("broker receive", [&](Task& t) { return receive_loop(t, client); });
  return scope.join(task);
}

BrokerLink::Positions BrokerLink::positions_of(const Timeline& timeline) {
  const consensus::AcceptorState& state = timeline.state();
  consensus::MemberReport report = timeline.position();
  // Of the log that the report names, and of no later one: the acceptor may be ahead of what is done.
  Lsn commit = std::min(state.commit, report.position.flush);
  return {report,           commit, timeline.backup(), timeline.remote_consistent(), timeline.peer_horizon(),
          state.local_start};
}

broker::TimelineInfo BrokerLink::to_info(const TenantTimelineId& id, const Positions& positions) const {
  broker::TimelineInfo info;
  info.safekeeper = config_.id;
  info.id = id;
  info.term = positions.report.term;
  info.last_log_term = positions.report.position.last_log_term;
  info.generation = positions.report.generation.value;
  info.flush = positions.report.position.flush;
  info.commit = positions.commit;
  info.backup = positions.backup;
  info.remote_consistent = positions.remote_consistent;
  info.peer_horizon = positions.peer_horizon;
  info.local_start = positions.local_start;
  info.wal_address = config_.advertise_wal.empty() ? to_string(config_.listen_wal) : config_.advertise_wal;
  info.http_address =
      config_.advertise_http.empty() ? to_string(config_.listen_http) : config_.advertise_http;
  info.availability_zone = config_.availability_zone;
  return info;
}

// All at the beginning; then the positions that moved since they were told, those somebody seems not to have
// heard of, and those of active timelines that were told long ago.
std::vector<broker::TimelineInfo> BrokerLink::news(std::map<TenantTimelineId, Told>& told) const {
  std::vector<broker::TimelineInfo> infos;
  std::map<TenantTimelineId, Told> now;
  for (const TenantTimelineId& id : timelines_.ids()) {
    auto found = timelines_.find(id);
    if (!found.ok() || !(*found)->failure().ok() || !(*found)->known() ||
        !(*found)->state().local_start.valid())
      continue;
    Positions positions = positions_of(**found);
    auto before = told.find(id);
    bool late = before != told.end() && (*found)->active() && env_.now() - before->second.at >= kTellAgain;
    bool known =
        before != told.end() && before->second.positions == positions && !late && !(*found)->take_asked();
    now[id] = known ? before->second : Told{positions, env_.now()};
    if (known) continue;
    positions.report = (*found)->report();
    env_.durable_claim((*found)->backup_claim(), positions.backup.value);
    infos.push_back(to_info(id, positions));
  }
  told = std::move(now);
  return infos;
}

Status BrokerLink::publish_loop(Task& task, broker::BrokerClient& client) {
  std::map<TenantTimelineId, Told> told;
  std::optional<MonotonicTime> last;
  for (;;) {
    auto infos = news(told);
    // An empty message too, so that the broker knows this publisher is alive.
    if (!infos.empty() || !last || env_.now() - *last >= kTellAgain) {
      Deadline deadline(task, kConnectTimeout);
      TRY(infos.empty() ? client.subscribe(task, std::nullopt) : client.publish(task, infos));
      last = env_.now();
    }
    TRY(task.sleep(config_.broker_interval));
  }
}

Status BrokerLink::receive_loop(Task& task, broker::BrokerClient& client) {
  for (;;) {
    TRY_ASSIGN(auto infos, client.receive(task));
    for (const broker::TimelineInfo& info : infos) {
      auto timeline = timelines_.find(info.id);
      if (!timeline.ok() || info.safekeeper == config_.id) continue;
      PeerInfo peer{.report = {info.safekeeper,
                               consensus::ConfigurationGeneration(info.generation),
                               info.term,
                               {info.last_log_term, info.flush}},
                    .commit = info.commit,
                    .backup = info.backup,
                    .remote_consistent = info.remote_consistent,
                    .local_start = info.local_start,
                    .wal_address = info.wal_address,
                    .http_address = info.http_address,
                    .heard = env_.now()};
      if ((*timeline)->asleep()) {
        if (!(*timeline)->wakes_for(peer)) continue;
        env_.probe("safekeeper.woken-by-a-peer"_probe);
        // Others' news do not wait for the object store.
        if ((*timeline)->evicted()) {
          (*timeline)->return_soon();
          continue;
        }
        timeline = timelines_.use(task, info.id);
        if (timeline.is(Code::Cancelled)) return timeline.error();
        if (!timeline.ok()) continue;
      }
      if (Status told = (*timeline)->on_peer(task, peer); told.is(Code::Cancelled)) return told;
    }
  }
}

}  // namespace argon::safekeeper
