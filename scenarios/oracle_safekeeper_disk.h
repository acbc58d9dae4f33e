// Oracles on one safekeeper's disk, as a start would find it at this moment. The last segment of a timeline
// that is evicted is looked for in the object store, and counts only if it is the object that the control
// file says, byte for byte by its checksum.
//
// Claims: what it told a proposer, its term and how far it has flushed, is there (Env::durable_claim).
// Log matching, where all that was ever written is known (WalHistory): every byte before the end of valid
// WAL is what the term wrote that owns the position in the node's own history. So a tail that a
// truncation left behind is found before anybody has used it.
// Cuts: when a safekeeper answers who was elected, nothing is left beyond the position where its log was cut,
// neither on the disk as it is nor after a power loss at its worst: what a former proposer wrote there may
// decode as a true successor of what the next one writes (DESIGN §7).
//
// Reads the simulated disk and bucket directly: no suspension, no event.

#pragma once

#include "core/base/ids.h"
#include "core/safekeeper/control_file.h"
#include "scenarios/oracle_wal_history.h"
#include "sim/bucket.h"
#include "sim/machine.h"

namespace argon::scenarios {

struct SafekeeperDisk {
  sim::Machine& machine;
  NodeId node;
  TenantTimelineId id;
  const sim::Bucket* store = nullptr;  // its object store; null: it has none

  // "/data/TENANT/TIMELINE": where scenarios let safekeepers keep a timeline.
  std::string folder() const;
  std::string control_path() const;
  // Another one after each change of the control file; 0 before there is one.
  uint64_t control_id() const;
  // The control file; NotFound before there is one. And the acceptor's part of it.
  Result<safekeeper::TimelineControl> control() const;
  Result<consensus::AcceptorState> state() const;
  // The end of valid WAL, decoded from where `state` says that it is committed.
  Lsn end_of_wal(const consensus::AcceptorState& state) const;
  // The bytes of [from, to), as many as there are.
  Bytes wal(Lsn from, Lsn to) const;
  // The last segment's WAL where it is evicted. Corrupt: the object is not there, or another than it was.
  Result<Bytes> evicted_tail(const safekeeper::TimelineControl& control) const;
  // Empty where all segments hold zeros only at and beyond `end`, and do so after any power loss.
  std::string left_beyond(Lsn end) const;
};

// Corrupt: a claim does not hold.
Status check_claims(const SafekeeperDisk& disk);
// Watches the claims of one safekeeper: one that goes back announces a cut, which is whole when the same
// position is claimed again.
class CutWatch {
 public:
  explicit CutWatch(const SafekeeperDisk& disk);
  // Corrupt: something is left beyond a cut.
  Status claimed(std::string_view key, uint64_t value);

 private:
  SafekeeperDisk disk_;
  std::string key_;
  uint64_t before_ = 0;
  bool cutting_ = false;
};

// Corrupt: the WAL from a little before the committed position on is not what its history says.
Status check_log(const SafekeeperDisk& disk, const WalHistory& history);

}  // namespace argon::scenarios
