// Interpreted WAL to a reader: batches of what its shard needs, and how far they reach.

#include <algorithm>

#include "core/safekeeper/wal_service.h"

namespace argon::safekeeper {

pg::ShardIdentity WalService::shard_of(const wire::InterpretedStream& stream) {
  uint32_t stripe = stream.stripe_blocks == 0 ? pg::kStripeBlocks : stream.stripe_blocks;
  return {stream.shard_number, stream.shard_count, stripe};
}

Status WalService::send_interpreted(Task& task, wire::PgServer& server, Timeline& timeline,
                                    const wire::StartReplication& command, uint64_t reader) {
  DecodedWal::Cursor cursor{command.start, {}};
  uint64_t batches_left = messages_until_drop();
  for (;;) {
    if (!timeline.failure().ok()) return timeline.failure();
    Lsn commit = timeline.state().commit;
    if (cursor.at < commit) {
      TRY(timeline.wake(task));
      if (!timeline.failure().ok()) continue;
      const consensus::AcceptorState& state = timeline.acceptor().state();
      CommittedWal wal{[&](Task& t, Lsn at, ByteSpan into) { return timeline.read_wal(t, at, commit, into); },
                       commit, state.local_start, pg::WalIdentity{state.server.system_id}};
      auto batch = timeline.decoded().next(task, cursor, wal);
      if (!batch.ok()) return damaged(timeline, batch.error());
      if (*batch) {
        TRY(send_batch(task, server, **batch, *command.interpreted, commit));
        cursor.at = (*batch)->end;
        timeline.reader(reader).sent = cursor.at;
        if (--batches_left == 0) return Error(Code::Disconnected, "the safekeeper ends the stream");
        continue;
      }
    }
    TRY_ASSIGN(bool more, await_wal(task, timeline, timeline.committed(), std::max(cursor.at, commit), true));
    if (more) continue;
    cursor.window.reset();
    TRY(send_keepalive(task, server, commit));
  }
}

Status WalService::send_batch(Task& task, wire::PgServer& server, const DecodedWal::Batch& batch,
                              const wire::InterpretedStream& stream, Lsn commit) {
  Result<Bytes> payload = Bytes();
  auto make = [&] {
    pg::ShardIdentity shard = shard_of(stream);
    if (!shard.is_whole()) payload = pg::batch_for(batch.body, shard);
    if (payload.ok()) payload = pg::seal_batch(shard.is_whole() ? batch.body : *payload, stream.zstd);
  };
  if (stream.zstd)
    env_.offload(task, make);
  else
    make();
  TRY(payload);
  Bytes head;
  wire::encode_interpreted_header(head, batch.end, commit);
  server.put_copy_data(head, *payload);
  return flush_whole(task, server);
}

}  // namespace argon::safekeeper
