// A change of a timeline's members: which configuration comes next, and when it may. A pure state machine.
//
// The caller decides configurations one after another (each generation once, by compare-and-set on something
// durable), tells the members, and reports what they answer:
//
//   joint  {old} -> {new}   at generation g+1, told to the members of both
//   final  {new}            at generation g+2, told to the new members
//
// With a majority of the old members in the joint configuration nothing can be decided by the old ones alone
// any more (fenced()). What they had decided before lies within what such a majority says then: a highest
// term, and a highest position. The old members may be left out (ready()) once a majority of the new ones
//
//   * is in the joint configuration,
//   * has a position that is as high: then whoever is elected by the new ones has all that was committed,
//   * and a term that is as high: then no term is won a second time. The old configuration and the final one
//   need have
//     no member in common, so the one vote a term that a member has does not say it.
//
// When a majority of the new members is in the final configuration (done()), nothing needs the old ones: they
// may be removed, and only then may the next change begin. After Raft's joint consensus (Ongaro, 2014, 4.3),
// and Neon's RFC 035.
//
// Anybody may go on with a change that somebody else began, from the joint configuration alone: what was
// reported is asked anew.

#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/consensus/configuration.h"

namespace argon::consensus {

// How far a log goes: the higher one has all that was committed, if it is the highest of a quorum.
struct LogPosition {
  Term last_log_term;
  Lsn flush;

  friend auto operator<=>(const LogPosition&, const LogPosition&) = default;
};

// What a member says of itself, all at one moment.
struct MemberReport {
  NodeId id;
  ConfigurationGeneration generation;
  Term term;
  LogPosition position;

  friend bool operator==(const MemberReport&, const MemberReport&) = default;
};

class MembershipChange {
 public:
  // REQUIRES: joint and valid.
  explicit MembershipChange(Configuration joint);

  // Reports of no member, or older than an earlier one of that member, change nothing.
  void report(const MemberReport& report);

  const Configuration& joint() const { return joint_; }
  Configuration final_configuration() const;

  // What new members must reach.
  struct Fence {
    Term term;
    LogPosition position;
  };
  const std::optional<Fence>& fence() const { return fence_; }
  // The final configuration may be decided.
  bool ready() const;
  // REQUIRES: the final configuration was decided. Old members may be removed.
  bool done() const;
  // New members that are below the fence's term, and would be ready otherwise: they need a raise
  // (Acceptor::raise_term).
  std::vector<NodeId> below_term() const;
  // What is missing to be ready, for a progress line.
  std::string waiting_for() const;

 private:
  bool reached(NodeId id) const;
  void set_fence();

  Configuration joint_;
  std::map<NodeId, MemberReport> reports_;
  std::optional<Fence> fence_;
};

}  // namespace argon::consensus
