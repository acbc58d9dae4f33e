// How a safekeeper joins a timeline that it has never had: a copy of a peer's log.
//
// Copied are the term history and the WAL that is not in the object store as full segments yet, up to where
// the best donor has flushed; positions are the donor's. The log is one that the proposer of its last term
// wrote, so having it is no acknowledgement of anything (core/consensus/membership.h). The donor's term and
// history are looked at before and after, and every record is decoded; where other donors have committed as
// far, all must have the same hash chain there. Until the control file is there, which comes last, a crash
// leaves nothing that counts.

#pragma once

#include <vector>

#include "core/safekeeper/timelines.h"

namespace argon::safekeeper {

struct PullRequest {
  TenantTimelineId id;
  consensus::Configuration configuration;  // in which this safekeeper is
  std::vector<Address> donors;             // HTTP of safekeepers that may have it
};

// Errors: AlreadyExists (the timeline is here), Stale (it was removed under this configuration or a later
// one), Unavailable (no donor answers, or the best one changed meanwhile: ask again), Corrupt (donors
// differ). Suspends.
Result<std::shared_ptr<Timeline>> pull_timeline(Task& task, Timelines& timelines, const PullRequest& request);

}  // namespace argon::safekeeper
