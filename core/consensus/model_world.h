// A made-up world of a few proposers and acceptors, for tests of the state machines alone.
//
// WAL is two-byte records; an acceptor's disk is its persisted state, what it has written and what of that
// is synced. Each action is one atomic step; every step checks the invariants of invariants.h and
// the claims on the whole: committed bytes never change, an elected proposer starts at or beyond
// them, at most one proposer commits in a term. A World is a value: exploring copies it.
//
// Members may change once: a coordinator (membership.h) decides the joint and the final configuration, tells
// one node at a time and hears what it says; a node that joins begins empty or with a copy of another's log
// (model_membership.cc). Acceptors may fill each other up, and find out by themselves what is committed
// (model_peers.cc).
//
// Connections are queues in order. A message may be lost or arrive twice all the same, which is more than TCP
// does. A connection may end on both sides at once (what is under way is lost), or on the proposer's alone:
// then what it sent still arrives, behind the back of its next connection. An acceptor may crash between
// any two of the effects that one input asks for.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/consensus/acceptor.h"
#include "core/consensus/invariants.h"
#include "core/consensus/membership.h"
#include "core/consensus/proposer.h"

namespace argon::consensus::model {

inline constexpr Lsn kBase{16};
inline constexpr uint32_t kSegment = 16;

struct Options {
  Configuration configuration;
  std::vector<Member> change_to;  // who the members may become; empty: no change
  int proposers = 2;
  int records_max = 2;      // per proposer's term
  int entries_max = 1'000;  // records of all proposers together
  int faults_max = 1'000;   // of all the following together
  int crashes_max = 1;
  int halfway_max = 0;  // of them between two effects of one input
  int drops_max = 1;
  int partings_max = 0;                    // connections that end on the proposer's side only
  int losses_max = 0;                      // single messages
  int duplicates_max = 0;                  // single messages
  int attempts_max = 2;                    // elections over all proposers
  bool connected = false;                  // every proposer to every acceptor, at the start
  std::set<std::pair<int, NodeId>> reach;  // which proposer reaches which acceptor; empty: all
  bool rpc = false;                        // an answer arrives in the same step as its request
  bool peers = false;                      // acceptors copy each other's logs, and tell each other of them
};

enum class Kind : uint8_t {
  Connect,
  ToAcceptor,
  ToProposer,
  Drop,
  Flush,
  Write,
  CrashLosing,
  CrashKeeping,
  Campaign,
  Part,
  Stale,  // the next message of a connection that its proposer has left; none: the end of it
  LoseUp,
  LoseDown,
  RepeatUp,
  RepeatDown,
  CrashAfterOne,  // effect of the next message to the acceptor
  CrashAfterTwo,
  DecideJoint,
  DecideFinal,
  Tell,   // a node the configuration that is decided; it answers with its report
  Raise,  // a node's term, to the fence's
  Pull,   // a node that joins copies the log of the node that `proposer` is the id of
  Fill,   // a node takes over the log of the node that `proposer` is the id of
  Derive  // a node hears how far all others are
};

struct Action {
  Kind kind;
  int proposer = 0;
  NodeId node;
};
std::string to_string(const Action& action);

class World {
 public:
  explicit World(Options options);

  std::vector<Action> enabled() const;
  // Empty, or the claim that was broken.
  std::string apply(const Action& action);
  void fingerprint(Bytes& out) const;

  Lsn committed_end() const { return kBase + committed_.size(); }
  size_t elections() const { return elections_; }
  size_t truncations() const { return truncations_; }
  bool leading(int proposer) const { return at(proposer).machine.leading(); }
  const Acceptor& acceptor(NodeId id) const { return at(id).machine; }

 private:
  // Messages are shared between copies of a world, and never changed.
  struct Wire {
    ProposerMessage message;
    Bytes wal;  // what an AppendRequest borrows
    uint64_t print = 0;
  };
  struct Answer {
    AcceptorMessage message;
    uint64_t print = 0;
  };
  template <typename T>
  using Queue = std::vector<std::shared_ptr<const T>>;
  struct Link {
    ConnectionId id;
    Queue<Wire> up;
    Queue<Answer> down;
  };
  struct Node {
    Acceptor machine;
    AcceptorState persisted;
    Bytes written;      // from kBase
    size_t synced = 0;  // bytes of it
    Lsn acknowledged;   // highest flush ever told, unless cut since
    bool exists = true;
  };
  struct Compute {
    Proposer machine;
    Bytes log;  // from kBase: what was before its start, and its own
    std::map<NodeId, Link> links;
    std::map<NodeId, Link> stale;  // left by the proposer, not yet at their end for the acceptor
    Term last_term;
    bool may_write = false;
    int records = 0;
  };

  // Copies of a world share what none of them has changed since; edit() makes it this world's own. A
  // reference from at() or share() is of before.
  template <typename T>
  class Shared {
   public:
    explicit Shared(T value) : box_(std::make_shared<Box>(std::move(value))) {}
    const T& get() const { return box_->value; }
    T& edit() {
      if (box_.use_count() > 1) box_ = std::make_shared<Box>(box_->value);
      box_->print.reset();
      return box_->value;
    }
    Shared share() const { return *this; }
    // Of the contents, kept until they change.
    template <typename Print>
    uint64_t print(Print print) const {
      if (!box_->print) box_->print = print(box_->value);
      return *box_->print;
    }
    bool changed() const { return !box_->print.has_value(); }

   private:
    struct Box {
      explicit Box(T v) : value(std::move(v)) {}
      T value;
      std::optional<uint64_t> print;
    };
    std::shared_ptr<Box> box_;
  };

  const Compute& at(int proposer) const { return proposers_[static_cast<size_t>(proposer)].get(); }
  Compute& edit(int proposer) { return proposers_[static_cast<size_t>(proposer)].edit(); }
  const Node& at(NodeId id) const { return acceptors_[place(id)].get(); }
  Node& edit(NodeId id) { return acceptors_[place(id)].edit(); }
  size_t place(NodeId id) const;
  uint64_t print_of_compute(const Compute& compute) const;
  uint64_t print_of_node(const Node& node) const;

  bool reaches(int proposer, NodeId id) const;
  bool may_connect(int proposer, NodeId id) const;
  Proposer new_proposer(Term min_term) const;
  std::string step_acceptor(NodeId id, AcceptorEffects effects);
  std::string run_effects(NodeId id, AcceptorEffects effects);
  std::string run_effects(int proposer, const ProposerEffects& effects);
  std::string elected(int proposer, const Elected& e);
  std::string committed(int proposer, Lsn commit);
  std::string to_acceptor(int proposer, NodeId id);
  std::string to_proposer(int proposer, NodeId id);
  std::string crash(NodeId id, bool keep);
  std::string check_proposer(int proposer, const Proposer& before, const ProposerEffects& effects);
  std::string drop(int proposer, NodeId id);
  void tamper(Kind kind, Link& link);
  void part(int proposer, NodeId id);
  void stale(int proposer, NodeId id, std::string& broken);
  std::string crash_halfway(int proposer, NodeId id, int effects);
  std::string deliver(NodeId id, ConnectionId from, const Wire& wire);
  ConnectionId unused_connection(int proposer, NodeId id) const;
  const Options& options() const { return *shared_options_; }
  bool may_fail(int used, int most) const;
  void enabled_on_link(int proposer, NodeId id, const Link& link, std::vector<Action>& all) const;
  std::string apply_to_link(const Action& action);
  std::string apply_to_node(const Action& action);
  std::string pump(int proposer);
  // model_membership.cc
  void add_joining_nodes();
  Configuration joint_configuration() const;
  Configuration decided_configuration() const;
  MemberReport report_of(NodeId id) const;
  void enabled_on_change(std::vector<Action>& all) const;
  std::string apply_to_change(const Action& action);
  std::string tell(NodeId id);
  std::string pull(NodeId id, NodeId donor);
  std::string reconfigured(int proposer);
  // model_peers.cc
  void enabled_on_peers(NodeId id, std::vector<Action>& all) const;
  PeerLog log_of(NodeId id) const;
  std::vector<MemberReport> reports_but(NodeId id) const;
  std::string fill(NodeId id, NodeId donor);
  std::string derive(NodeId id);
  std::string committed_by_peers(const Node& node, Lsn commit);
  void answer(ConnectionId to, AcceptorMessage message);

  std::shared_ptr<const Options> shared_options_;
  std::vector<NodeId> ids_;  // of acceptors_, ascending
  std::vector<Shared<Node>> acceptors_;
  std::vector<Shared<Compute>> proposers_;
  Bytes committed_;
  std::vector<std::pair<Term, int>> committers_;  // ascending
  Term derived_;                                  // the highest term of what acceptors found to be committed
  int entries_ = 0;
  int crashes_ = 0;
  int halfway_ = 0;
  int drops_ = 0;
  int partings_ = 0;
  int losses_ = 0;
  int duplicates_ = 0;
  int attempts_ = 0;
  size_t elections_ = 0;
  size_t truncations_ = 0;
  std::optional<MembershipChange> change_;  // once the joint configuration is decided
  bool final_ = false;                      // and so is the final one
  std::map<NodeId, MemberReport> reported_;
  std::map<Term, Lsn> won_;         // where each term that was won starts
  int effects_left_ = kAllEffects;  // before the acceptor crashes

  static constexpr int kAllEffects = 1'000'000;
};

// Lets messages between the proposer and these acceptors arrive, and these acceptors flush, until nothing of
// the kind is left. Empty, or the broken claim.
std::string settle(World& world, int proposer, const std::set<NodeId>& acceptors);

// The coordinator's steps with these nodes, final configuration included, until none is left. Those that join
// copy the log of `donor`; 0: they begin empty.
std::string settle_change(World& world, const std::set<NodeId>& nodes, NodeId donor);

// Runs `steps` random actions. Empty, or the broken claim with the last actions before it.
std::string run_random(World& world, Random& random, int steps);

}  // namespace argon::consensus::model
