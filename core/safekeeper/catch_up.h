// How a safekeeper that lags fills up a timeline while no proposer does it: from the peer that has most.
//
// The peer's log is taken over as it is, uncommitted WAL included (Acceptor::follow_peer); nothing is
// promised to anybody by having it. Before, the hash chains of what both have committed are compared. What of
// it is committed is found out apart (Acceptor::on_peer_commit, on_peer_reports).

#pragma once

#include "core/safekeeper/timeline.h"

namespace argon::safekeeper {

// Until what the peer has flushed is written here. Errors: Stale (a proposer came, or the peer has no more
// than is here), Unavailable or Disconnected (the peer does not serve it; ask again), Corrupt (another log
// than ours), the timeline's failure(). Suspends.
Status catch_up(Task& task, Timeline& timeline, const PeerInfo& peer);

}  // namespace argon::safekeeper
