#include "core/compute/old_wal_reader.h"

#include "core/wire/replication.h"

namespace argon::compute {

Result<std::unique_ptr<OldWalReader>> OldWalReader::open(Task& task, const Address& safekeeper,
                                                         const TenantTimelineId& id, Lsn start, Term term,
                                                         Duration timeout) {
  Deadline deadline(task, timeout);
  TRY_ASSIGN(std::unique_ptr<wire::PgClient> client, wire::PgClient::connect_to_wal(task, safekeeper, id));
  wire::StartReplication command{.slot = {}, .start = start, .term = term};
  TRY(client->start_copy_both(task, wire::to_string(command)));
  return std::unique_ptr<OldWalReader>(new OldWalReader(std::move(client), start));
}

Result<Bytes> OldWalReader::read(Task& task, size_t n, Duration timeout) {
  Deadline deadline(task, timeout);
  while (pending_.size() < n) {
    TRY_ASSIGN(std::optional<ByteView> body, client_->read_copy(task));
    if (!body) return Error(Code::Disconnected, "the safekeeper ended the stream at " + to_string(position_));
    TRY_ASSIGN(wire::ReplicationServerMessage message, wire::parse_replication_server_message(*body));
    auto* data = std::get_if<wire::XLogData>(&message);
    if (data == nullptr) continue;
    if (data->start != position_ + pending_.size())
      return Error(Code::Corrupt, "the safekeeper sent WAL at " + to_string(data->start) + ", not at " +
                                      to_string(position_ + pending_.size()));
    argon::append(pending_, data->data);
  }
  Bytes out(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(n));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(n));
  position_ += n;
  return out;
}

}  // namespace argon::compute
