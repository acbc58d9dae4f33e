// QuorumContact: asks the safekeepers whether this proposer may have been replaced.
//
// Each member says, by TIMELINE_STATUS, in which term it is and which configuration it knows. Where a quorum
// of the proposer's configuration is in no later term and knows no later configuration, nobody had been
// elected in a later one when it was asked: an election needs a vote of one of these, and a change of members
// its consent.
//
// Connections are kept; one that fails is made anew the next time. Nothing is said of what comes afterwards.

#pragma once

#include <map>
#include <memory>
#include <set>

#include "core/compute/proposer_driver.h"
#include "core/wire/pg_wire.h"

namespace argon::compute {

class QuorumContact {
 public:
  // `driver` outlives it.
  explicit QuorumContact(const ProposerDriver& driver) : driver_(driver) {}

  // Calls `confirmed` as soon as a quorum has confirmed that this proposer had not been replaced when ask()
  // was called, then waits for the others, so that their connections last. No member is waited for longer
  // than `patience`. Errors: Stale (a member is in a later term, or knows a later configuration, and no
  // quorum confirmed), Unavailable (no quorum answered), what `confirmed` returned, Cancelled.
  Status ask(Task& task, Duration patience, const std::function<Status(Task&)>& confirmed);

 private:
  struct Round;
  Status ask_member(Task& task, const consensus::Member& member, const Round& round);

  const ProposerDriver& driver_;
  std::map<NodeId, std::unique_ptr<wire::PgClient>> clients_;
};

}  // namespace argon::compute
