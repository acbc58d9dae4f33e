// A made-up world of a few proposers and acceptors, for tests of the state machines alone.
//
// WAL is two-byte records; an acceptor's disk is its persisted state, what it has written and what of that
// is synced. Each action is one atomic step; every step checks the invariants of invariants.h and
// the claims on the whole: committed bytes never change, an elected proposer starts at or beyond
// them, at most one proposer commits in a term. A World is a value: exploring copies it.

#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/consensus/acceptor.h"
#include "core/consensus/invariants.h"
#include "core/consensus/proposer.h"

namespace argon::consensus::model {

inline constexpr Lsn kBase{16};
inline constexpr uint32_t kSegment = 16;

struct Options {
  Configuration configuration;
  int proposers = 2;
  int records_max = 2;  // per proposer's term
  int crashes_max = 1;
  int drops_max = 1;
  int attempts_max = 2;                    // elections over all proposers
  bool connected = false;                  // every proposer to every acceptor, at the start
  std::set<std::pair<int, NodeId>> reach;  // which proposer reaches which acceptor; empty: all
  bool rpc = false;                        // an answer arrives in the same step as its request
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
  Campaign
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
  bool leading(int proposer) const { return proposers_[static_cast<size_t>(proposer)].machine.leading(); }
  const Acceptor& acceptor(NodeId id) const { return acceptors_.at(id).machine; }

 private:
  struct Wire {
    ProposerMessage message;
    std::shared_ptr<const Bytes> wal;  // what an AppendRequest borrows
  };
  struct Link {
    ConnectionId id;
    std::deque<Wire> up;
    std::deque<AcceptorMessage> down;
  };
  struct Node {
    Acceptor machine;
    AcceptorState persisted;
    Bytes written;      // from kBase
    size_t synced = 0;  // bytes of it
    Lsn acknowledged;   // highest flush ever told, unless cut since
  };
  struct Compute {
    Proposer machine;
    Bytes log;  // from kBase: what was before its start, and its own
    std::map<NodeId, Link> links;
    Term last_term;
    bool may_write = false;
    int records = 0;
  };

  Configuration configuration() const { return options_.configuration; }
  bool reaches(int proposer, NodeId id) const;
  Proposer new_proposer(Term min_term) const;
  std::string step_acceptor(NodeId id, AcceptorEffects effects);
  std::string run_effects(NodeId id, AcceptorEffects effects);
  std::string run_effects(int proposer, const ProposerEffects& effects);
  std::string elected(Compute& compute, const Elected& e);
  std::string committed(int proposer, Lsn commit);
  std::string to_acceptor(int proposer, NodeId id);
  std::string to_proposer(int proposer, NodeId id);
  std::string crash(NodeId id, bool keep);
  std::string check_proposer(int proposer, const Proposer& before, const ProposerEffects& effects);
  std::string drop(int proposer, NodeId id);
  void pump(int proposer);
  void answer(ConnectionId to, AcceptorMessage message);

  Options options_;
  std::map<NodeId, Node> acceptors_;
  std::vector<Compute> proposers_;
  Bytes committed_;
  std::map<Term, int> committers_;
  uint64_t next_connection_ = 1;
  int crashes_ = 0;
  int drops_ = 0;
  int attempts_ = 0;
  size_t elections_ = 0;
  size_t truncations_ = 0;
};

// Runs `steps` random actions. Empty, or the broken claim with the last actions before it.
std::string run_random(World& world, Random& random, int steps);

}  // namespace argon::consensus::model
