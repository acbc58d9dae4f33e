#include "core/pageserver/receiver.h"

#include <algorithm>
#include <tuple>

#include "core/broker/client.h"
#include "core/env/points.h"
#include "core/pg/interpret/batch.h"
#include "core/wire/pg_wire.h"
#include "core/wire/replication.h"

namespace argon::pageserver {

void SafekeeperNews::note(const broker::TimelineInfo& info, MonotonicTime now) {
  Seen& seen = seen_[info.id][info.safekeeper];
  seen.info = info;
  seen.at = now;
  if (auto waiting = changes_.find(info.id); waiting != changes_.end()) waiting->second.notify_all();
}

const broker::TimelineInfo* SafekeeperNews::best(const TenantTimelineId& id, MonotonicTime now,
                                                 Duration lifetime) const {
  auto found = seen_.find(id);
  if (found == seen_.end()) return nullptr;
  auto rank = [&](const Seen& seen) {
    return std::tuple(seen.at >= now - lifetime, now >= seen.avoided_until, seen.info.commit);
  };
  const Seen* best = nullptr;
  for (const auto& [node, seen] : found->second)
    if (!seen.info.wal_address.empty() && (best == nullptr || rank(seen) > rank(*best))) best = &seen;
  return best == nullptr ? nullptr : &best->info;
}

bool SafekeeperNews::avoids(const TenantTimelineId& id, NodeId safekeeper, MonotonicTime now) {
  return now < seen_[id][safekeeper].avoided_until;
}

void SafekeeperNews::avoid(const TenantTimelineId& id, NodeId safekeeper, MonotonicTime until) {
  seen_[id][safekeeper].avoided_until = until;
}

Status follow_broker(Task& task, const Address& broker, SafekeeperNews& news,
                     const ReceiverOptions& options) {
  Logger log(task.env().log());
  Duration pause = options.retry_delay;
  auto follow = [&]() -> Status {
    std::unique_ptr<broker::BrokerClient> client;
    {
      Deadline deadline(task, options.connect_timeout);
      TRY_ASSIGN(client, broker::BrokerClient::connect(task, broker));
      TRY(client->subscribe(task, std::nullopt));
    }
    for (;;) {
      Deadline deadline(task, options.info_lifetime * 3);
      TRY_ASSIGN(std::vector<broker::TimelineInfo> infos, client->receive(task));
      for (const broker::TimelineInfo& info : infos) news.note(info, task.env().now());
      pause = options.retry_delay;
    }
  };
  for (;;) {
    Status ended = follow();
    if (task.cancelled()) return {};
    log.debug("broker at {}: {}", to_string(broker), ended.error().to_string());
    TRY(task.sleep(pause));
    pause = std::min(pause * 2, options.retry_delay_max);
  }
}

namespace {

// A stream of the timeline's WAL, as `command` says. Corrupt where the safekeeper has WAL of another system.
Result<std::unique_ptr<wire::PgClient>> connect(Task& task, const Address& address,
                                                const TenantTimelineId& id, uint64_t system_id,
                                                const wire::StartReplication& command,
                                                const ReceiverOptions& options) {
  Deadline deadline(task, options.connect_timeout);
  TRY_ASSIGN(std::unique_ptr<wire::PgClient> client,
             wire::PgClient::connect(
                 task, address,
                 {{"user", "pageserver"},
                  {"database", "replication"},
                  {"replication", "true"},
                  {"application_name", "pageserver"}},
                 {{"tenant_id", to_string(id.tenant)}, {"timeline_id", to_string(id.timeline)}}));
  // Within a segment no page tells whose WAL it is.
  TRY_ASSIGN(wire::QueryResult identity, client->query(task, "IDENTIFY_SYSTEM", 1));
  if (identity.rows.empty() || identity.rows[0].empty() || !identity.rows[0][0])
    return Error(Code::Corrupt, "the safekeeper does not tell whose WAL it has");
  TRY_ASSIGN(uint64_t theirs, parse_u64(*identity.rows[0][0]));
  if (system_id != 0 && theirs != 0 && theirs != system_id)
    return Error(Code::Corrupt, "the safekeeper has WAL of system " + std::to_string(theirs) +
                                    ", but the timeline is of " + std::to_string(system_id));
  TRY(client->start_copy_both(task, wire::to_string(command)));
  return client;
}

// One connection to one safekeeper.
class Session {
 public:
  Session(Timeline& timeline, SafekeeperNews& news, const ReceiverOptions& options, NodeId safekeeper)
      : timeline_(timeline), news_(news), options_(options), safekeeper_(safekeeper) {}

  Status run(Task& task, const Address& address) {
    TRY_ASSIGN(ingest_, timeline_.ingest(task));
    Lsn start = timeline_.last_record();
    TRY_ASSIGN(pg::ControlFile control, timeline_.catalog().control(task, start));
    wire::StartReplication command{.slot = {}, .start = start};
    if (options_.interpreted_wal)
      command.interpreted = wire::InterpretedStream{.zstd = options_.compressed_wal};
    else
      decoder_.emplace(start, pg::WalIdentity{control.system_id});
    position_ = start;
    TRY_ASSIGN(client_, connect(task, address, timeline_.id(), control.system_id, command, options_));
    timeline_.log().debug("receiving from safekeeper {} at {}", safekeeper_.value, to_string(start));
    heard_ = task.env().now();
    Scope scope(task);
    scope.spawn("receive", [this](Task& t) { return receive(t); });
    scope.spawn("feedback", [this](Task& t) { return feedback(t); });
    return scope.join(task);
  }
  bool progressed() const { return progressed_; }

 private:
  Status receive(Task& task) {
    Env& env = task.env();
    uint64_t messages_left = env.buggify("pageserver.leaves-a-safekeeper"_rare)
                                 ? env.random("pageserver.leave").between(1, 500)
                                 : UINT64_MAX;
    for (;;) {
      std::optional<ByteView> body;
      {
        Deadline deadline(task, options_.silence_timeout);
        TRY_ASSIGN(body, client_->read_copy(task));
      }
      if (!body) return Error(Code::Disconnected, "the safekeeper ended the stream");
      TRY(take(task, *body));
      if (timeline_.last_record() != reported_.last_received) kick_.notify_all();
      if (--messages_left == 0) return Error(Code::Disconnected, "the pageserver ends the connection");
    }
  }

  Status take(Task& task, ByteView body) {
    if (options_.interpreted_wal) {
      TRY_ASSIGN(std::optional<wire::InterpretedWal> batch, wire::parse_interpreted_wal(body));
      if (batch) return take_batch(task, *batch);
    }
    TRY_ASSIGN(wire::ReplicationServerMessage message, wire::parse_replication_server_message(body));
    if (auto* keepalive = std::get_if<wire::Keepalive>(&message)) {
      if (keepalive->reply_requested) kick_.notify_all();
      return {};
    }
    if (!decoder_) return Error(Code::Corrupt, "WAL came as bytes where it was to come interpreted");
    return take_wal(task, std::get<wire::XLogData>(message));
  }

  Status take_wal(Task& task, const wire::XLogData& data) {
    if (data.start != decoder_->position())
      return Error(Code::Corrupt, "WAL of " + to_string(data.start) + " came where " +
                                      to_string(decoder_->position()) + " was to come");
    heard_ = task.env().now();
    decoder_->feed(data.data);
    pg::WalRecord record;
    for (;;) {
      TRY_ASSIGN(bool found, decoder_->next(record));
      if (!found) break;
      TRY(ingest_->apply(task, record));
      progressed_ = true;
    }
    heard_ = task.env().now();
    return {};
  }

  // A batch may begin before what is here ends: it was decoded for another reader.
  Status take_batch(Task& task, const wire::InterpretedWal& message) {
    TRY_ASSIGN(ByteView body, pg::open_batch(message.payload, unpacked_));
    TRY_ASSIGN(pg::BatchReader batch, pg::BatchReader::open(body));
    const pg::BatchHeader& header = batch.header();
    if (header.start > position_ || header.end <= position_)
      return Error(Code::Corrupt, "WAL from " + to_string(header.start) + " to " + to_string(header.end) +
                                      " came where " + to_string(position_) + " was to come");
    heard_ = task.env().now();
    pg::InterpretedRecord record;
    for (;;) {
      TRY_ASSIGN(bool found, batch.next(record));
      if (!found) break;
      TRY(ingest_->apply(task, record));
      progressed_ = true;
    }
    ingest_->advance(header.end, header.last_record);
    position_ = header.end;
    heard_ = task.env().now();
    return {};
  }

  Status feedback(Task& task) {
    std::string claim = remote_claim_key(timeline_.id());
    for (;;) {
      wire::PageserverFeedback now;
      TRY_ASSIGN(now.timeline_size, size(task));
      now.last_received = timeline_.last_record();
      now.disk_consistent = timeline_.store().disk_consistent();
      now.remote_consistent = timeline_.remote_consistent();
      task.env().durable_claim(claim, now.remote_consistent.value);
      now.replied_at = task.env().wall_now().to_postgres();
      Bytes body;
      wire::encode_pageserver_feedback(body, now);
      client_->put_copy_data(body);
      {
        Deadline deadline(task, options_.silence_timeout);
        TRY(client_->flush(task));
      }
      reported_ = now;
      bool early = task.env().buggify("pageserver.feedback-early"_rare);
      TRY(wait_at_most(task, kick_, early ? options_.feedback_interval / 16 : options_.feedback_interval));
      TRY(stay(task));
    }
  }

  // What does not write is not looked at; what cannot be read, not again over this connection.
  Result<uint64_t> size(Task& task) {
    if (!progressed_ || size_unknown_) return reported_.timeline_size;
    Result<uint64_t> bytes = timeline_.current_size(task);
    if (bytes.is(Code::Cancelled)) return bytes.error();
    size_unknown_ = !bytes.ok();
    return bytes.ok() ? *bytes : reported_.timeline_size;
  }

  // An error where another safekeeper has more and this one has been silent.
  Status stay(Task& task) const {
    MonotonicTime now = task.env().now();
    const broker::TimelineInfo* best = news_.best(timeline_.id(), now, options_.info_lifetime);
    bool ahead = best != nullptr && best->safekeeper != safekeeper_ && best->commit > timeline_.last_record();
    if (!ahead || now - heard_ < options_.lag_timeout) return {};
    task.env().probe("pageserver.left-a-silent-safekeeper"_probe);
    return Error(Code::Unavailable,
                 "safekeeper " + to_string(best->safekeeper) + " is ahead, at " + to_string(best->commit));
  }

  Timeline& timeline_;
  SafekeeperNews& news_;
  const ReceiverOptions& options_;
  NodeId safekeeper_;
  Ingest* ingest_ = nullptr;
  std::optional<pg::WalStreamDecoder> decoder_;  // none where WAL comes interpreted
  Lsn position_;                                 // up to which it came
  Bytes unpacked_;
  std::unique_ptr<wire::PgClient> client_;
  wire::PageserverFeedback reported_;
  WaitList kick_;
  MonotonicTime heard_;
  bool progressed_ = false;
  bool size_unknown_ = false;
};

// WAL from `from` until a record ends at or above `to`.
Status read_again(Task& task, const Address& address, const TenantTimelineId& id, uint64_t system_id,
                  Lsn from, Lsn to, const ReceiverOptions& options, const Timeline::Apply& apply) {
  TRY_ASSIGN(std::unique_ptr<wire::PgClient> client,
             connect(task, address, id, system_id, {.slot = {}, .start = from}, options));
  pg::WalStreamDecoder decoder(from, pg::WalIdentity{system_id});
  for (;;) {
    std::optional<ByteView> body;
    {
      Deadline deadline(task, options.silence_timeout);
      TRY_ASSIGN(body, client->read_copy(task));
    }
    if (!body) return Error(Code::Disconnected, "the safekeeper ended the stream");
    TRY_ASSIGN(wire::ReplicationServerMessage message, wire::parse_replication_server_message(*body));
    if (std::holds_alternative<wire::Keepalive>(message)) continue;
    const auto& data = std::get<wire::XLogData>(message);
    if (data.start != decoder.position())
      return Error(Code::Corrupt, "WAL of " + to_string(data.start) + " came where " +
                                      to_string(decoder.position()) + " was to come");
    decoder.feed(data.data);
    pg::WalRecord record;
    for (;;) {
      TRY_ASSIGN(bool found, decoder.next(record));
      if (!found) break;
      TRY(apply(task, record));
      if (record.end >= to) return {};
    }
  }
}

}  // namespace

Status rebuild_layers(Task& task, Timeline& timeline, SafekeeperNews& news, const ReceiverOptions& options) {
  while (!task.cancelled()) {
    if (!timeline.wants_rebuild()) {
      TRY(timeline.rebuild_wanted().wait(task));
      continue;
    }
    const broker::TimelineInfo* best = news.best(timeline.id(), task.env().now(), options.info_lifetime);
    Status made = Error(Code::Unavailable, "no safekeeper has the timeline's WAL");
    if (best != nullptr) {
      NodeId safekeeper = best->safekeeper;
      auto address = parse_address(best->wal_address);
      made = address.ok() ? Status() : Status(address.error());
      if (made.ok())
        made = timeline.rebuild(task, [&](Task& t, Lsn from, Lsn to, const Timeline::Apply& apply) {
          return read_again(t, *address, timeline.id(), timeline.store().index().system_id, from, to, options,
                            apply)
              .with("safekeeper " + to_string(safekeeper));
        });
      if (!made.ok()) news.avoid(timeline.id(), safekeeper, task.env().now() + options.connect_timeout);
    }
    if (made.ok()) continue;
    if (!task.cancelled())
      timeline.log().warn("make damaged layers anew, will try again: {}", made.error().to_string());
    TRY(task.sleep(options.retry_delay_max));
  }
  return {};
}

Status receive_wal(Task& task, Timeline& timeline, SafekeeperNews& news, const ReceiverOptions& options) {
  Duration pause = options.retry_delay;
  Random& random = task.env().random("pageserver.receiver");
  std::optional<NodeId> before;
  while (!task.cancelled()) {
    const broker::TimelineInfo* best = news.best(timeline.id(), task.env().now(), options.info_lifetime);
    if (best == nullptr) {
      TRY(news.changes(timeline.id()).wait(task));
      continue;
    }
    if (task.env().buggify("pageserver.prefers-another"_rare)) {
      news.avoid(timeline.id(), best->safekeeper, task.env().now() + options.connect_timeout);
      best = news.best(timeline.id(), task.env().now(), options.info_lifetime);
    }
    NodeId safekeeper = best->safekeeper;
    if (news.avoids(timeline.id(), safekeeper, task.env().now()))
      task.env().probe("pageserver.only-avoided-safekeepers"_probe);
    if (before && *before != safekeeper) task.env().probe("pageserver.other-safekeeper"_probe);
    before = safekeeper;
    auto address = parse_address(best->wal_address);
    Session session(timeline, news, options, safekeeper);
    Status ended = address.ok() ? session.run(task, *address) : Status(address.error());
    if (task.cancelled()) return {};
    if (ended.is(Code::Corrupt))
      news.avoid(timeline.id(), safekeeper, task.env().now() + options.damage_pause);
    else if (!session.progressed())
      // What the broker tells of it may be true, and it out of our reach for all that: others have a turn.
      news.avoid(timeline.id(), safekeeper, task.env().now() + options.connect_timeout);
    bool known = ended.is(Code::Disconnected) || ended.is(Code::Unavailable) || ended.is(Code::TimedOut);
    if (known)
      timeline.log().debug("safekeeper {}: {}", safekeeper.value, ended.error().to_string());
    else if (!ended.ok())
      timeline.log().error("safekeeper {}: {}", safekeeper.value, ended.error().to_string());
    pause = session.progressed() ? options.retry_delay : std::min(pause * 2, options.retry_delay_max);
    TRY(task.sleep(random.between(pause / 2, pause)));
  }
  return {};
}

}  // namespace argon::pageserver
