// What a peer says of a timeline that is to be copied from it: its answer to GET of the timeline
// (http_api.h).

#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/consensus/membership.h"
#include "core/env/network.h"
#include "core/safekeeper/control_file.h"

namespace argon::safekeeper {

struct Donor {
  Address http;
  Address wal;
  TimelineControl control;  // its own, but for the configuration
  Lsn flush;

  consensus::LogPosition position() const {
    return {control.acceptor.history.up_to(flush).last_term(), flush};
  }
};

// Unavailable where the peer does not serve it; Invalid or Corrupt, with the field, for an answer that
// makes no sense.
Result<Donor> parse_donor(const Address& http, const TenantTimelineId& id, const nlohmann::json& status);

}  // namespace argon::safekeeper
