// The WAL port: proposers over Argon's frames, readers over PostgreSQL's replication protocol.

#pragma once

#include <optional>

#include "core/pg/interpret/shard.h"
#include "core/safekeeper/timelines.h"
#include "core/safekeeper/wal_proof.h"
#include "core/wire/frame.h"
#include "core/wire/pg_wire.h"
#include "core/wire/replication.h"

namespace argon::safekeeper {

class WalService {
 public:
  WalService(Env& env, const SafekeeperConfig& config, Timelines& timelines)
      : env_(env), config_(config), timelines_(timelines), log_(env.log()) {}

  // Accepts until the task is cancelled.
  Status serve(Task& task, Listener& listener);
  size_t connections() const { return connections_; }

 private:
  Status serve_connection(Task& task, Stream& stream);
  // receive_wal.cc
  Status tell_members(Task& task, Stream& stream, const consensus::Configuration& members);
  Status serve_proposer(Task& task, wire::BufferedReader& in, Stream& stream);
  Result<std::shared_ptr<Timeline>> greeted(Task& task, const consensus::ProposerGreeting& greeting);
  Status read_proposer(Task& task, wire::FrameReader& frames, Timeline& timeline, ProposerLink& link,
                       const consensus::ProposerMessage& greeting);
  // send_wal.cc
  Status serve_postgres(Task& task, wire::BufferedReader& in, Stream& stream);
  Status answer_query(Task& task, wire::PgServer& server, Timeline& timeline, const std::string& query);
  Status replicate(Task& task, wire::PgServer& server, Timeline& timeline,
                   const wire::StartReplication& command);
  Status send_wal(Task& task, wire::PgServer& server, Timeline& timeline,
                  const wire::StartReplication& command, uint64_t reader);
  // Until there is more than `at`: true; false when a keepalive is due. With `may_sleep` the timeline may
  // fall asleep meanwhile.
  Result<bool> await_wal(Task& task, Timeline& timeline, Watermark<Lsn>& news, Lsn at, bool may_sleep);
  // How many messages a good stream may have before it is ended: all.
  uint64_t messages_until_drop();
  Status send_keepalive(Task& task, wire::PgServer& server, Lsn end);
  static Status flush_whole(Task& task, wire::PgServer& server);
  // The bytes at `at`, which follow those given before, are what was written. Suspends at the first call.
  Status prove(Task& task, Timeline& timeline, std::optional<WalProof>& proof, Lsn at, ByteView wal);
  Error damaged(Timeline& timeline, const Error& error);
  Status receive_feedback(Task& task, wire::PgServer& server, Timeline& timeline, uint64_t reader);
  // send_interpreted.cc
  static pg::ShardIdentity shard_of(const wire::InterpretedStream& stream);
  Status send_interpreted(Task& task, wire::PgServer& server, Timeline& timeline,
                          const wire::StartReplication& command, uint64_t reader);
  Status send_batch(Task& task, wire::PgServer& server, const DecodedWal::Batch& batch,
                    const wire::InterpretedStream& stream, Lsn commit);

  Env& env_;
  const SafekeeperConfig& config_;
  Timelines& timelines_;
  Logger log_;
  size_t connections_ = 0;
  uint64_t next_link_ = 1;
};

}  // namespace argon::safekeeper
