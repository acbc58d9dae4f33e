// ProposerDriver: carries out what a consensus::Proposer decides: connections to all safekeepers,
// heartbeats, the WAL not yet everywhere, catching up members from each other.
//
// One driver makes one attempt: it is elected once, and once lost() it is of no use; whoever wants to
// go on makes a new one after a random pause. The same driver serves the sidecar of a real server and
// the simulator's model compute.
//
//   start() -> elect() -> append()... -> stop()
//
// Invariants: committed() never falls and counts only what a quorum has; nothing is sent in the won
// term before persist_term returned ok; WAL above committed() is kept in memory; memory for WAL is
// bounded (append waits). Everything here runs on one reactor.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/compute/wal_buffer.h"
#include "core/consensus/proposer.h"
#include "core/env/env.h"
#include "core/fiber/scope.h"
#include "core/fiber/sync.h"

namespace argon::compute {

struct ProposerDriverConfig {
  consensus::ProposerConfig proposer;
  Duration connect_timeout = Duration::seconds(5);
  Duration heartbeat_interval = Duration::seconds(1);      // nothing sent for so long: an empty append
  Duration silence_timeout = Duration::seconds(5);         // nothing heard for so long: the link is dropped
  Duration reconnect_delay = Duration::milliseconds(200);  // after the first failure; doubles up to
  Duration reconnect_delay_max = Duration::seconds(2);
  Duration commit_pause = Duration::milliseconds(1);     // a commit position waits so long for WAL to go with
  size_t append_bytes_max = consensus::kAppendBytesMax;  // in one message; at least 1, at most the default
  uint64_t uncommitted_limit = 16u << 20;                // bytes; append waits beyond
  uint64_t buffer_limit = 16u << 20;                     // bytes of committed WAL kept for members that lag
  // Asks who decides on members for the latest configuration, where nothing goes on for so long. Safekeepers
  // tell of the next one as well, but those that this proposer knows may all be gone by then. May be null.
  std::function<Result<consensus::Configuration>(Task&)> decided;
  Duration ask_after = Duration::seconds(2);
};

// What the most advanced pageserver has, as safekeepers tell.
struct PageserverPositions {
  Lsn last_received;
  Lsn disk_consistent;
  Lsn remote_consistent;
  uint64_t timeline_bytes = 0;  // of all relations, as it said last; 0: not yet

  friend bool operator==(const PageserverPositions&, const PageserverPositions&) = default;
};

class OldWalReader;

class ProposerDriver {
 public:
  // Stores (term, start) durably before the term is used. May suspend.
  using PersistTerm = std::function<Status(Task&, Term, Lsn)>;

  // `parent` and `env` outlive the driver.
  ProposerDriver(Scope& parent, Env& env, Logger log, ProposerDriverConfig config, PersistTerm persist_term);
  // REQUIRES: stop() returned, or was never started.
  ~ProposerDriver();

  void start();
  // Waits until this proposer is elected and its start position is committed. Errors: the reason of
  // lost(), Cancelled, TimedOut.
  Result<consensus::Elected> elect(Task& task);
  // Hands over WAL that follows what was handed over before; the first begins at the elected start.
  // Waits while too much is uncommitted. Errors: Invalid for a gap, the reason of lost(), Cancelled.
  Status append(Task& task, Lsn begin, ByteView wal);
  // Waits until everything below `lsn` is committed. Errors: as append().
  Status wait_committed(Task& task, Lsn lsn);
  // For an orderly end, after the last append(): waits until everything is committed, and until a quorum of
  // safekeepers has answered that it knows so (else they, and the pageserver through them, learn of the last
  // of it only from the next proposer). An election that goes on comes to its end first: whoever was deposed
  // by it can tell nobody any more what of his was committed. No limit of its own. Errors: as append().
  Status finish(Task& task);
  // Waits until committed(), pageserver() or lost() changed since `seen` (a value of changes()).
  Status wait_change(Task& task, uint64_t seen);
  uint64_t changes() const { return changes_; }
  // Waits until lost() is an error, and returns it.
  Status wait_lost(Task& task);

  Lsn committed() const { return committed_; }
  Lsn end() const { return buffer_ ? buffer_->end() : Lsn(); }
  const PageserverPositions& pageserver() const { return pageserver_; }
  // Ok while this is the elected (or still campaigning) proposer; then why not any more, for good.
  const Status& lost() const { return lost_; }
  // A term to campaign above, once lost.
  Term seen_term() const { return seen_term_; }
  const consensus::Proposer& proposer() const { return proposer_; }

  // Ends all connections and fibers. What is not committed stays unknown.
  Status stop(Task& task);

 private:
  // One member's connection, and what waits to be sent on it.
  struct Link {
    NodeId id;
    consensus::Member member;
    bool wanted = true;
    Stream* stream = nullptr;  // while connected
    std::deque<consensus::ProposerMessage> queue;
    WaitList wake;
    size_t donor_failures = 0;                // the next donor is tried after each
    bool ask = false;                         // send a heartbeat after the next append, for its answer
    std::optional<MonotonicTime> commit_due;  // when a commit position that waits is sent alone
    Error close_reason{Code::Disconnected, ""};
  };

  Status follow_members(Task& task);
  void reconcile_links();
  Status run_link(Task& task, Link& link);
  Status run_session(Task& task, Link& link);
  Status read_messages(Task& task, Link& link, Stream& stream);
  Status write_messages(Task& task, Link& link, Stream& stream);
  // Whether all that could be sent is a commit position, which may wait for WAL still.
  bool holds_commit(Link& link);
  Result<Bytes> wal_for(Task& task, Link& link, const consensus::Append& append,
                        std::unique_ptr<OldWalReader>& old_wal, consensus::WalCheck& check);
  Result<Bytes> old_wal_for(Task& task, const Link& link, const consensus::Append& append,
                            std::unique_ptr<OldWalReader>& old_wal);
  std::vector<consensus::Member> donors_for(const Link& link, Lsn end) const;
  Status apply(Task& task, consensus::ProposerEffects effects);
  void heard(const consensus::FeedbackReceived& feedback);
  void lose(Term seen, const Error& reason);
  // Those that have something to send.
  void wake_links();
  void changed();
  void trim();

  Env& env_;
  Logger log_;
  ProposerDriverConfig config_;
  PersistTerm persist_term_;
  consensus::Proposer proposer_;
  std::optional<consensus::Elected> elected_;
  bool start_committed_ = false;
  std::unique_ptr<WalBuffer> buffer_;  // once elected
  Lsn committed_;
  PageserverPositions pageserver_;
  Status lost_;
  Term seen_term_;
  uint64_t changes_ = 0;
  WaitList change_waiters_;
  WaitList lost_waiters_;
  std::map<NodeId, std::unique_ptr<Link>> links_;
  Scope scope_;
};

}  // namespace argon::compute
