// The proposer: elects itself, and makes a compute's WAL durable on a quorum; a pure state machine.
//
// Used by the sidecar of a real compute and by the simulated one. It never waits, reads no clock,
// draws no randomness and holds no WAL bytes: the driver does. Each input returns effects, which
// the driver carries out in order. One Proposer makes at most one attempt to be elected; after
// SteppedDown it is dead. The driver then waits (random back-off) and makes a new one, or gives up.
//
// ## What the driver does
//
//   start                 connect to every member (find their addresses in configuration()); call
//                         on_connected(id). Lost link: on_disconnected(id), later connect again,
//                         for as long as the proposer lives. All members, not only a quorum.
//   Send                  encode, queue on that member's connection, in order.
//   Reconfigured          a configuration of a higher generation was learnt: drop every link, connect
//                         to the members of this one. Also while leading: the term goes on, and from here on
//                         quorums are those of this configuration (membership.h).
//   PersistTerm           store (term, start) durably, then on_term_persisted(). Nothing is sent
//                         in the won term before.
//   Elected               the term is won and its start S known. Get WAL ready to be read from
//                         S on. Do not start the compute yet.
//   StartCommitted        S is committed: now ask the pageserver for a base backup at S, start
//                         the compute, and feed its WAL: on_wal(end) whenever more is at hand.
//   Committed             everything below is durable for good: acknowledge commits up to there.
//   CloseLink             drop the connection to that member (it broke the protocol or content
//                         differs; reason for the log), reconnect later.
//   SteppedDown           stop the compute's WAL at once: nothing may be acknowledged any more.
//
// Bytes: after each input, call next_append(id, limit) for each connected member until it
// returns nothing; send what it returns with the bytes [begin, end) filled in. Bytes from S on
// come from the compute's WAL; keep them until truncate() has passed. Bytes below S come from
// another acceptor that has them: donor(), by START_REPLICATION ... TERM on its WAL port; a request
// never straddles S. Nothing sent for heartbeat_interval: heartbeat(id). Nothing heard
// for longer: drop the link. `check` is filled in by the driver where it knows it: at S it is
// start_check(), further on extend_check().
//
// ## Taking over from oneself
// If this proposer had stepped down only because somebody campaigned but was never elected, a new
// Proposer may go on with the same running compute: its Elected then has previous_term == the
// term that was persisted last, and start <= the end of the compute's WAL, and start_check equal to
// the compute's own check at start. In any other case the compute must be stopped.
//
// Invariants (invariants.h): commit never falls, and counts only acknowledgements at or
// above the term's own start; a quorum is one of each member set; nothing is sent in a term
// before it was persisted; after SteppedDown nothing is ever sent or committed.

#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/consensus/messages.h"

namespace argon::consensus {

struct ProposerConfig {
  TenantTimelineId id;
  Configuration configuration;
  ServerInfo server;
  // Higher than every term persisted by this proposer's predecessors in this place; 0 if none.
  Term min_term;
  // Where the timeline begins if no acceptor of the quorum has WAL, and none was told at creation:
  // the pageserver's last record LSN. 0: a timeline without WAL is then an error.
  Lsn bootstrap_start;
  bool allow_creation = false;
};

// ---- effects

struct Send {
  NodeId to;
  ProposerMessage message;  // never an AppendRequest
};
struct Reconfigured {
  Configuration configuration;
};
struct PersistTerm {
  Term term;
  Lsn start;
};
struct Elected {
  Term term;
  Lsn start;
  Term previous_term;  // of the last WAL before start
  WalCheck start_check;
  NodeId donor;  // 0 where there is no WAL anywhere yet
  TermHistory history;
};
struct StartCommitted {
  Lsn start;
};
struct CommitAdvanced {
  Lsn commit;
};
struct FeedbackReceived {
  NodeId from;
  HotStandbyFeedback standby;
  std::optional<PageserverFeedback> pageserver;
};
struct CloseLink {
  NodeId to;
  Error reason;
};
struct SteppedDown {
  Term seen;     // campaign above this
  Error reason;  // Stale: somebody else; Invalid: no start position; Corrupt: content differs
};

using ProposerEffect = std::variant<Send, Reconfigured, PersistTerm, Elected, StartCommitted, CommitAdvanced,
                                    FeedbackReceived, CloseLink, SteppedDown>;
using ProposerEffects = std::vector<ProposerEffect>;

// One AppendRequest to send: bytes [begin, end), empty where it only tells positions.
struct Append {
  ConfigurationGeneration generation;
  Term term;
  Lsn begin;
  Lsn end;
  Lsn commit;
  Lsn truncate;

  // The message itself; REQUIRES: wal.size() == end - begin.
  AppendRequest request(WalCheck check, ByteView wal) const;
};

class Proposer {
 public:
  enum class Phase : uint8_t { CollectingTerms, Campaigning, PersistingTerm, Leading, SteppedDown };

  explicit Proposer(ProposerConfig config);

  // ---- inputs
  ProposerEffects on_connected(NodeId member);
  void on_disconnected(NodeId member);
  ProposerEffects on_message(NodeId from, const AcceptorMessage& message);
  ProposerEffects on_term_persisted();
  // This configuration was decided, as somebody says who is no member. Nothing where it is not newer.
  ProposerEffects on_configuration(const Configuration& decided);
  // The compute's WAL can be read up to `end`. REQUIRES: start committed; end not lower than before.
  void on_wal(Lsn end);

  // ---- streaming
  std::optional<Append> next_append(NodeId member, size_t limit = kAppendBytesMax);
  // Whether next_append() would return something. That truncate() moved is not worth a message: it goes with
  // the next one.
  bool has_append(NodeId member) const;
  // Whether that would have WAL, and not only a commit position.
  bool has_wal_for(NodeId member) const;
  std::optional<Append> heartbeat(NodeId member);

  // ---- positions
  Phase phase() const { return phase_; }
  bool leading() const { return phase_ == Phase::Leading; }
  const TenantTimelineId& id() const { return config_.id; }
  const Configuration& configuration() const { return config_.configuration; }
  Term term() const { return term_; }
  Lsn start() const { return start_; }
  const WalCheck& start_check() const { return start_check_; }
  const TermHistory& history() const { return history_; }
  Lsn wal_end() const { return wal_end_; }
  Lsn commit() const { return commit_; }
  // Committed already when the configuration in force was learnt; 0 where it is the first.
  Lsn committed_earlier() const { return committed_earlier_; }
  // Up to where a quorum has answered that it knows the WAL to be committed.
  Lsn commit_known() const { return quorum_has(&Peer::known_commit); }
  // Every member has flushed up to here: WAL below is of no use to this proposer any more.
  Lsn truncate() const { return truncate_; }
  // An acceptor that has all WAL below `start()` as far as anybody: the donor, or another that
  // has acknowledged start() since. Candidates in order of preference.
  std::vector<NodeId> donors() const;
  // Flush position each member acknowledged in this term; members without are absent.
  std::map<NodeId, Lsn> acknowledged() const;

  void fingerprint(Bytes& out) const;

 private:
  enum class Link : uint8_t { Offline, Greeting, Greeted, Voting, Voted, Streaming };

  struct Peer {
    Link link = Link::Offline;
    Term term;                         // as greeted
    Lsn timeline_start;                // as greeted
    std::optional<VoteResponse> vote;  // the latest answer
    bool vote_given = false;           // in term_
    Lsn next;                          // next byte to send
    Lsn acked;                         // flushed, as acknowledged in term_; survives reconnects
    Lsn known_commit;                  // as answered in term_
    Lsn sent_commit;
  };

  void greeted(NodeId from, Peer& peer, const AcceptorGreeting& greeting, ProposerEffects& out);
  void adopt(const Configuration& configuration, ProposerEffects& out);
  void campaign_if_quorum(ProposerEffects& out);
  void ask_vote(NodeId to, Peer& peer, ProposerEffects& out);
  void answered(NodeId from, Peer& peer, const VoteResponse& response, ProposerEffects& out);
  void win_if_quorum(ProposerEffects& out);
  Status choose_start();
  void send_elected(NodeId to, Peer& peer, ProposerEffects& out);
  void acknowledge(NodeId from, Peer& peer, const AppendResponse& response, ProposerEffects& out);
  void advance_commit(ProposerEffects& out);
  // The highest position at or above start() that a quorum has reached; 0 if there is none.
  Lsn quorum_has(Lsn Peer::* position) const;
  void step_down(Term seen, Error reason, ProposerEffects& out);
  void close(NodeId to, Peer& peer, Error reason, ProposerEffects& out);
  std::set<NodeId> peers_where(bool (*holds)(const Peer&)) const;

  ProposerConfig config_;
  Phase phase_ = Phase::CollectingTerms;
  std::map<NodeId, Peer> peers_;
  Term term_;
  Lsn start_;
  WalCheck start_check_;
  NodeId donor_;
  Lsn oldest_;  // where a member without any WAL starts
  TermHistory history_;
  Lsn wal_end_;
  Lsn commit_;
  Lsn committed_earlier_;  // commit_ when the configuration in force was learnt
  Lsn truncate_;
};

}  // namespace argon::consensus
