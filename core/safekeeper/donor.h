// A peer that WAL is copied from: what it says of a timeline, in its answer to GET of it (http_api.h), its
// hash chain, and its stream.

#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "core/consensus/membership.h"
#include "core/env/network.h"
#include "core/safekeeper/control_file.h"
#include "core/wire/pg_wire.h"

namespace argon::safekeeper {

struct Donor {
  Address http;
  Address wal;
  TimelineControl control;  // its own, but for the configuration
  Lsn flush;

  consensus::LogPosition position() const { return {control.acceptor.history.term_at(flush), flush}; }
};

// Unavailable where the peer does not serve it; Invalid or Corrupt, with the field, for an answer that
// makes no sense.
Result<Donor> parse_donor(const Address& http, const TenantTimelineId& id, const nlohmann::json& status);
// Asks it. Suspends for seconds at most. Errors: as parse_donor(), and what the request said.
Result<Donor> ask_donor(Task& task, const Address& http, const TenantTimelineId& id);

// The hash chain of its WAL at `lsn`; nothing where it cannot tell: it may not have committed so far, lack
// old WAL, or have gone. Suspends for seconds. Errors: Cancelled.
Result<std::optional<ChainLink>> ask_chain(Task& task, const Address& http, const TenantTimelineId& id,
                                           Lsn lsn);
// Corrupt where the peer's chain at `ours.at` is another one.
Status compare_chains(Task& task, const Address& http, const TenantTimelineId& id, const ChainLink& ours);

// Below the URL of a safekeeper's management interface.
std::string timeline_path(const TenantTimelineId& id);

// A donor's WAL, as it flushed it in the term that it told: the stream ends when it is in another.
class DonorStream {
 public:
  static Result<DonorStream> open(Task& task, const Donor& donor, Lsn from);
  // What comes next, at next_lsn(); lent until the next call. Errors: Disconnected at the end, Corrupt for
  // other WAL than that, TimedOut after seconds without any.
  Result<ByteView> next(Task& task);
  Lsn next_lsn() const { return at_; }

 private:
  DonorStream(std::unique_ptr<wire::PgClient> client, Lsn from) : client_(std::move(client)), at_(from) {}

  std::unique_ptr<wire::PgClient> client_;
  Lsn at_;
};

}  // namespace argon::safekeeper
