// OldWalReader: WAL that a proposer no longer has, read from a safekeeper that does, in order.

#pragma once

#include <memory>

#include "core/base/ids.h"
#include "core/wire/pg_wire.h"

namespace argon::compute {

class OldWalReader {
 public:
  // Asks for WAL from `start` on, up to what the safekeeper has flushed, and only as long as it is in
  // `term`. Errors: of the connection; what the safekeeper answered.
  static Result<std::unique_ptr<OldWalReader>> open(Task& task, const Address& safekeeper,
                                                    const TenantTimelineId& id, Lsn start, Term term,
                                                    Duration timeout);

  // The LSN that read() goes on at.
  Lsn position() const { return position_; }
  // The next n bytes. Errors: TimedOut where they do not come, of the connection.
  Result<Bytes> read(Task& task, size_t n, Duration timeout);

 private:
  explicit OldWalReader(std::unique_ptr<wire::PgClient> client, Lsn start)
      : client_(std::move(client)), position_(start) {}

  std::unique_ptr<wire::PgClient> client_;
  Lsn position_;
  Bytes pending_;  // received, not handed out yet; begins at position_
};

}  // namespace argon::compute
