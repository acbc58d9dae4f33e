// The acceptor: one timeline's WAL and votes on one safekeeper, as a pure state machine.
//
// It never waits, reads no clock and does no I/O. Each input returns effects, which the driver
// (core/safekeeper) carries out *in order, each whole before the next*, before it gives the next
// input. A reply is therefore sent only after everything before it in the list is durable. If
// any effect fails, the driver drops the acceptor and stops serving the timeline: the state in
// memory is then ahead of the disk, and nothing may be answered from it.
//
// Two effects ask for an input of their own, given before any other:
//   FlushWal{for_vote}  -> on_flushed()     a vote waits for it
//   TruncateWal         -> on_truncated()   an election waits for it
// A FlushWal is also wanted, at the driver's leisure, whenever unflushed() is true: the driver
// gathers what is waiting, syncs once and calls on_flushed (group commit).
//
// Invariants (invariants.h checks them after each step):
//  1. The term never falls. At most one vote is given in a term, ever.
//  2. A vote, and every position told to anybody, speaks of flushed WAL and a persisted term.
//  3. flush and commit never fall, but for a truncation, which never goes below commit.
//  4. The history is persisted only after the WAL beyond the divergence is gone from the disk.
//  5. WAL is accepted only at the end of what is there, from the connection that was elected
//     last in the current term, and only if its content continues ours (wal_check.h); or, while no
//     proposer is elected here, from a peer whose log is higher (follow_peer). Having a peer's WAL
//     promises nothing to anybody: it is as if this node had been the peer.

#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/consensus/membership.h"
#include "core/consensus/messages.h"

namespace argon::consensus {

// A proposer's connection, as the driver numbers them; never used twice in one life.
using ConnectionId = StrongNumber<struct ConnectionIdTag, uint64_t>;

// What must survive a crash.
struct AcceptorState {
  Term term;
  TermHistory history;  // empty until the first election reached this node
  Configuration configuration;
  ServerInfo server;
  Lsn timeline_start;  // where the timeline begins, once known (made so, or by the first election)
  Lsn local_start;     // where this node's WAL begins; 0: there is none
  // At most what is flushed, at the end of a record; may lag behind memory.
  Lsn commit;

  friend bool operator==(const AcceptorState&, const AcceptorState&) = default;
};

// What the driver found on disk at start.
struct WalEnd {
  Lsn flush;  // end of the last whole record, synced, with nothing but zeros behind it; 0: no WAL
  WalCheck check;
};

// What a peer has flushed: the history up to there.
struct PeerLog {
  TermHistory history;
  Lsn flush;

  LogPosition position() const { return {history.last_term(), flush}; }
};

// ---- effects

struct PersistState {  // control file: durable before the next effect
  AcceptorState state;
};
struct WriteWal {  // need not be durable
  Lsn at;
  ByteView wal;  // borrowed from the message
};
struct FlushWal {  // make everything written durable; then on_flushed()
  bool for_vote = true;
};
struct TruncateWal {
  // Nothing but zeros at and beyond `to`, later segments unlinked, files and directory synced;
  // then on_truncated(). With `initialise` there is no WAL yet: make the first segment.
  Lsn to;
  bool initialise = false;
};
struct Reply {
  ConnectionId connection;
  AcceptorMessage message;
};
struct CloseConnection {  // after sending the reason as a Refusal
  ConnectionId connection;
  Error reason;
};
struct Committed {  // readers may have WAL up to here
  Lsn commit;
};

using AcceptorEffect =
    std::variant<PersistState, WriteWal, FlushWal, TruncateWal, Reply, CloseConnection, Committed>;
using AcceptorEffects = std::vector<AcceptorEffect>;

class Acceptor {
 public:
  // REQUIRES: state as last persisted; its configuration valid; wal as found on disk.
  Acceptor(NodeId self, AcceptorState state, WalEnd wal);

  // ---- inputs
  AcceptorEffects on_message(ConnectionId from, const ProposerMessage& message);
  // Everything below `durable` is synced; `record_end` is the end of the last whole record below.
  // REQUIRES: flush() <= record_end <= durable <= write().
  AcceptorEffects on_flushed(Lsn durable, Lsn record_end);
  // The truncation is done; the content check at its point.
  AcceptorEffects on_truncated(WalCheck check);
  void on_disconnected(ConnectionId connection);
  // A peer, whose last term is `last_log_term`, says that everything below `commit` is committed.
  AcceptorEffects on_peer_commit(Term last_log_term, Lsn commit);
  // What peers have said of themselves, each at some time. What a quorum of one configuration had flushed in
  // the term in which its log ends, while it obeyed no later one, is committed: the rule by which that term's
  // proposer would count their answers, and for whoever must know after he died.
  AcceptorEffects on_peer_reports(const std::vector<MemberReport>& peers);
  // Takes over the log of a peer, which is higher: cuts what is not its own, and from then on takes
  // on_peer_wal() up to log.flush, until a proposer is elected here or gets a vote. Errors: Unavailable (a
  // proposer is elected here, or no WAL is here yet), Stale (it is not higher, or would cut
  // what a proposer of a later term was told is here), Corrupt (not of one timeline,
  // or it lacks what is committed). REQUIRES: log.history is cut at log.flush.
  Result<AcceptorEffects> follow_peer(const PeerLog& log);
  // Where on_peer_wal() must go on; nothing where no peer is followed any more.
  std::optional<Lsn> wanted_from_peer() const { return following_ ? std::optional(write_) : std::nullopt; }
  // `wal` begins at wanted_from_peer(). Errors: Stale (none is followed any more), Invalid (other WAL than
  // wanted).
  Result<AcceptorEffects> on_peer_wal(Lsn at, ByteView wal);
  // Replaces the configuration by one of a higher generation (from the management API). Code::Stale
  // for a lower generation, Invalid where this node is in neither set.
  Result<AcceptorEffects> adopt_configuration(const Configuration& configuration);
  // Votes in no term up to this one, and obeys no proposer of a lower one any more (while members change:
  // membership.h).
  AcceptorEffects raise_term(Term term);

  // ---- positions
  const AcceptorState& state() const { return state_; }  // commit as in memory
  NodeId self() const { return self_; }
  bool has_wal() const { return state_.local_start.valid(); }
  Term term() const { return state_.term; }
  // The term of the last entry of the history that the flushed WAL reaches.
  Term last_log_term() const { return state_.history.term_at(flush_); }
  Lsn write() const { return write_; }      // bytes taken
  Lsn durable() const { return durable_; }  // bytes synced
  Lsn flush() const { return flush_; }      // whole records synced
  Lsn commit() const { return state_.commit; }
  Lsn truncate() const { return truncate_; }
  const WalCheck& write_check() const { return check_; }
  const WalCheck& flush_check() const { return flush_check_; }
  bool unflushed() const { return write_ > durable_; }
  Lsn term_start() const { return state_.history.empty() ? Lsn() : state_.history.last().start; }
  // The connection that was elected last, if it is still there.
  std::optional<ConnectionId> leader() const { return leader_; }
  // The highest term in which a vote was given in this life.
  Term voted() const { return voted_; }

  // Everything that decides future behaviour, for model checking.
  void fingerprint(Bytes& out) const;

 private:
  // What an acknowledgement says once the effects before it are carried out.
  AppendResponse response() const;
  struct PendingVote {
    ConnectionId connection;
    VoteRequest request;
  };
  // Whose log is taken over: an elected proposer's, or a peer's.
  struct PendingLog {
    std::optional<ConnectionId> proposer;
    TermHistory history;
    Lsn start;
    WalCheck check;
    std::optional<Lsn> peer_end;
  };

  void greet(ConnectionId from, const ProposerGreeting& greeting, AcceptorEffects& out);
  void vote(ConnectionId from, const VoteRequest& request, AcceptorEffects& out);
  void give_vote(const PendingVote& pending, AcceptorEffects& out);
  void elect(ConnectionId from, const ProposerElected& elected, AcceptorEffects& out);
  Status check_elected(const ProposerElected& elected) const;
  void take_over(PendingLog log, AcceptorEffects& out);
  void obey(Term term);
  void append(ConnectionId from, const AppendRequest& request, AcceptorEffects& out);
  Status check_append(ConnectionId from, const AppendRequest& request) const;
  Status check_server(const ServerInfo& server) const;
  bool same_generation(ConnectionId from, ConfigurationGeneration generation, AcceptorEffects& out) const;
  void raise_commit(AcceptorEffects& out);
  void persist(AcceptorEffects& out) const { out.push_back(PersistState{state_}); }

  NodeId self_;
  AcceptorState state_;
  Lsn write_;
  Lsn durable_;
  Lsn flush_;
  WalCheck check_;        // at write_
  WalCheck flush_check_;  // at flush_; not known while flush_ is not where a message ended
  Lsn leader_commit_;     // as the elected proposer last said
  Lsn truncate_;
  Term voted_;
  std::optional<ConnectionId> leader_;
  std::optional<PendingVote> pending_vote_;
  std::optional<PendingLog> pending_log_;
  std::optional<Lsn> following_;  // up to where a peer's WAL is taken
};

}  // namespace argon::consensus
