// A reader's connection: PostgreSQL's replication protocol, as much of it as physical readers use.

#include <algorithm>

#include "core/env/points.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/wal_proof.h"
#include "core/safekeeper/wal_service.h"

namespace argon::safekeeper {
namespace {

constexpr size_t kChunk = 128 * 1024;
constexpr uint64_t kLittle = 13;
constexpr Duration kReceiverTimeout = Duration::seconds(60);
constexpr uint32_t kInt4 = 23;
// After a cut in the middle of reading by term, until new WAL is flushed beyond the old end.
constexpr Duration kCutPause = Duration::milliseconds(50);
constexpr std::string_view kServerVersion = "15.0";

void put_single_row(wire::PgServer& server, const std::vector<wire::Column>& columns, const wire::Row& row,
                    std::string_view tag) {
  server.put_row_description(columns);
  server.put_row(row);
  server.put_command_complete(tag);
}

consensus::PageserverFeedback from_wire(const wire::PageserverFeedback& f) {
  return {f.timeline_size, f.last_received, f.disk_consistent, f.remote_consistent, f.replied_at};
}

uint64_t full_xid(uint32_t epoch, uint32_t xid) {
  return (uint64_t{epoch} << 32) | xid;
}

// As much as fits a message: up to a page boundary where more follows, and never over a segment's end.
Lsn chunk_end(Lsn from, Lsn limit) {
  Lsn end = std::min({limit, from + kChunk, pg::segment_start(from) + pg::kWalSegmentSize});
  if (end < limit && pg::page_start(end) > from) end = pg::page_start(end);
  return end;
}

}  // namespace

Status WalService::serve_postgres(Task& task, wire::BufferedReader& in, Stream& stream) {
  wire::PgServer server(in, stream);
  TRY_ASSIGN(wire::Startup startup, server.accept(task));
  auto refuse = [&](const Error& error) -> Status {
    server.refuse(task, error);
    return error;
  };
  auto id = startup.timeline();
  if (!id.ok()) return refuse(id.error());
  if (auto timeline = timelines_.find(*id); !timeline.ok()) return refuse(timeline.error());
  TRY(server.welcome(task, kServerVersion));
  for (;;) {
    TRY_ASSIGN(std::optional<std::string> query, server.read_query(task));
    if (!query) return {};
    // Each time: it may have been removed while the connection was idle. Asleep it does for positions, and
    // for a reader that has everything.
    auto timeline = timelines_.hold(task, *id);
    Status done = timeline.ok() ? answer_query(task, server, **timeline, *query) : Status(timeline.error());
    if (done.is(Code::Disconnected) || done.is(Code::Cancelled)) return done;
    if (!done.ok()) server.put_error(done.error());
    server.put_ready();
    TRY(server.flush(task));
  }
}

Status WalService::answer_query(Task& task, wire::PgServer& server, Timeline& timeline,
                                const std::string& query) {
  TRY_ASSIGN(auto replication, wire::parse_start_replication(query));
  if (!timeline.failure().ok()) return timeline.failure();
  if (replication) return replicate(task, server, timeline, *replication);
  const consensus::AcceptorState& state = timeline.state();
  if (wire::is_command(query, "IDENTIFY_SYSTEM")) {
    put_single_row(server, {{"systemid"}, {"timeline", kInt4}, {"xlogpos"}, {"dbname"}},
                   {{std::to_string(state.server.system_id), std::to_string(pg::kTimelineId),
                     to_string(state.commit), std::nullopt}},
                   "IDENTIFY_SYSTEM");
  } else if (wire::is_command(query, "TIMELINE_STATUS")) {
    put_single_row(server, {{"flush_lsn"}, {"commit_lsn"}, {"term"}, {"generation"}},
                   {{to_string(timeline.position().position.flush), to_string(state.commit),
                     to_string(state.term), to_string(state.configuration.generation)}},
                   "TIMELINE_STATUS");
  } else if (wire::is_command(query, "SHOW WAL_SEGMENT_SIZE")) {
    put_single_row(server, {{"wal_segment_size"}}, {{"16MB"}}, "SHOW");
  } else if (wire::is_command(query, "SHOW DATA_DIRECTORY_MODE")) {
    put_single_row(server, {{"data_directory_mode"}}, {{"0700"}}, "SHOW");
  } else if (wire::is_command(query, "READ_REPLICATION_SLOT")) {
    put_single_row(server, {{"slot_type"}, {"restart_lsn"}, {"restart_tli"}},
                   {{std::nullopt, std::nullopt, std::nullopt}}, "READ_REPLICATION_SLOT");
  } else if (wire::is_command(query, "TIMELINE_HISTORY")) {
    return Error(Code::NotFound, "timeline 1 is the first: it has no history file");
  } else if (wire::is_command(query, "SET ")) {
    server.put_command_complete("SET");
  } else {
    return Error(Code::Unsupported, "a safekeeper does not know the command: " + query.substr(0, 100));
  }
  return {};
}

Status WalService::replicate(Task& task, wire::PgServer& server, Timeline& timeline,
                             const wire::StartReplication& command) {
  if (!command.start.valid()) return Error(Code::Invalid, "START_REPLICATION from 0/0");
  if (command.interpreted) TRY(shard_of(*command.interpreted).check());
  if (command.term) {
    TRY(timeline.wake(task));
    TRY(timeline.failure());
  }
  uint64_t reader = timeline.add_reader();
  timeline.reader(reader).sent = command.start;
  server.put_copy_both_response();
  Scope scope(task);
  bool client_done = false;
  scope.spawn("wal feedback", [&](Task& t) {
    Status heard = receive_feedback(t, server, timeline, reader);
    client_done = heard.ok();
    return heard.ok() ? Status(Error(Code::Disconnected, "the reader has ended the stream")) : heard;
  });
  scope.spawn("wal sender", [&](Task& t) -> Status {
    TRY(server.flush(t));
    if (command.interpreted) return send_interpreted(t, server, timeline, command, reader);
    return send_wal(t, server, timeline, command, reader);
  });
  Status ended = scope.join(task);
  timeline.remove_reader(reader);
  if (client_done) {
    server.put_copy_done();
    server.put_command_complete("START_REPLICATION");
    return {};
  }
  return ended;
}

Status WalService::send_wal(Task& task, wire::PgServer& server, Timeline& timeline,
                            const wire::StartReplication& command, uint64_t reader) {
  Lsn at = command.start;
  Bytes chunk(kChunk);
  // Made when the first bytes are there: before, the end of this node's WAL may be below `at`.
  std::optional<WalProof> proof;
  uint64_t chunks_left = messages_until_drop();
  for (;;) {
    if (!timeline.failure().ok()) return timeline.failure();
    if (command.term && timeline.acceptor().term() != *command.term)
      return Error(Code::Stale, "the safekeeper is in term " + to_string(timeline.acceptor().term()) +
                                    ", not " + to_string(*command.term));
    // It may be asleep where this reader only waits.
    Lsn limit = command.term ? timeline.acceptor().flush() : timeline.state().commit;
    Watermark<Lsn>& news = command.term ? timeline.flushed() : timeline.committed();
    if (at < limit) {
      TRY(timeline.wake(task));
      if (!timeline.failure().ok()) continue;
      Lsn end = chunk_end(at, limit);
      if (env_.buggify("safekeeper.sends-little"_rare)) end = std::min(end, at + kLittle);
      TRY_ASSIGN(size_t n, timeline.read_wal(task, at, end, ByteSpan(chunk).first(end - at)));
      if (n == 0) return Error(Code::Corrupt, "no WAL at " + to_string(at));
      // Read while it may have been cut: by term, what was read counts only if the term still is.
      if (command.term && (!timeline.failure().ok() || timeline.acceptor().term() != *command.term)) {
        env_.probe("safekeeper.cut-while-sending"_probe);
        continue;
      }
      Status proved = prove(task, timeline, proof, at, ByteView(chunk).first(n));
      if (!proved.ok()) return damaged(timeline, proved.error());
      Bytes head;
      wire::encode_xlog_header(head, at, limit, env_.wall_now().to_postgres());
      server.put_copy_data(head, ByteView(chunk).first(n));
      at += n;
      timeline.reader(reader).sent = at;
      TRY(flush_whole(task, server));
      if (--chunks_left == 0) return Error(Code::Disconnected, "the safekeeper ends the stream");
      continue;
    }
    TRY_ASSIGN(bool more, await_wal(task, timeline, news, at, !command.term));
    if (!more) TRY(send_keepalive(task, server, limit));
  }
}

Result<bool> WalService::await_wal(Task& task, Timeline& timeline, Watermark<Lsn>& news, Lsn at,
                                   bool may_sleep) {
  if (news.value() > at) {
    TRY(task.sleep(kCutPause));
    return true;
  }
  std::optional<Timeline::Waiting> waiting;
  if (may_sleep) waiting.emplace(timeline);
  bool early = env_.buggify("safekeeper.keepalive-early"_rare);
  Deadline deadline(task, early ? config_.keepalive_interval / 8 : config_.keepalive_interval);
  Status waited = news.wait_for(task, at + 1);
  if (waited.ok()) return true;
  if (!waited.is(Code::TimedOut)) return waited.error();
  return false;
}

uint64_t WalService::messages_until_drop() {
  return env_.buggify("safekeeper.drops-a-reader"_rare) ? env_.random("safekeeper.drop").between(1, 500)
                                                        : UINT64_MAX;
}

Status WalService::send_keepalive(Task& task, wire::PgServer& server, Lsn end) {
  Bytes keepalive;
  wire::encode_keepalive(keepalive, {end, env_.wall_now().to_postgres(), true});
  server.put_copy_data(keepalive);
  return flush_whole(task, server);
}

// Not ended by cancellation: a message sent in part would leave the connection unusable for the orderly end
// that a reader may ask for.
Status WalService::flush_whole(Task& task, wire::PgServer& server) {
  Shield shield(task);
  Deadline deadline(task, kReceiverTimeout);
  return server.flush(task);
}

Status WalService::prove(Task& task, Timeline& timeline, std::optional<WalProof>& proof, Lsn at,
                         ByteView wal) {
  if (!proof) {
    proof.emplace(at, timeline.acceptor().state().local_start);
    TRY(proof->prepare(
        task, [&](Task& t, Lsn from, ByteSpan into) { return timeline.read_wal(t, from, at, into); }));
  }
  return proof->add(at, wal);
}

Error WalService::damaged(Timeline& timeline, const Error& error) {
  if (error.code() != Code::Corrupt) return error;
  timeline.note_damage();
  Error told = error.with("WAL of timeline " + to_string(timeline.id().timeline) + " on safekeeper " +
                          to_string(config_.id) + " (read it from another one)");
  log_.error("{}", told.to_string());
  return told;
}

Status WalService::receive_feedback(Task& task, wire::PgServer& server, Timeline& timeline, uint64_t reader) {
  for (;;) {
    TRY_ASSIGN(wire::CopyChunk chunk, server.read_copy(task));
    if (chunk.kind == wire::CopyChunk::Kind::Done) return {};
    if (chunk.kind == wire::CopyChunk::Kind::Fail)
      return Error(Code::Disconnected, "the reader gave up: " + std::string(as_text(chunk.data)));
    TRY_ASSIGN(auto message, wire::parse_replication_client_message(chunk.data));
    ReaderState& state = timeline.reader(reader);
    if (auto* feedback = std::get_if<wire::PageserverFeedback>(&message)) {
      state.is_pageserver = true;
      state.pageserver = from_wire(*feedback);
      timeline.on_feedback();
    } else if (auto* standby = std::get_if<wire::HotStandbyFeedback>(&message)) {
      state.standby = {standby->sent_at, full_xid(standby->xmin_epoch, standby->xmin),
                       full_xid(standby->catalog_xmin_epoch, standby->catalog_xmin)};
      timeline.on_feedback();
    }
    // A standby's own positions ('r') only keep the connection alive: nothing is held back for it.
  }
}

}  // namespace argon::safekeeper
