// One timeline on one safekeeper: drives the acceptor, and is what connections, uploads and the
// management API work with.
//
// Acceptor inputs are serialised by one mutex, and each is given only after the effects of the one before
// are done. WAL is written under it; the flush is not: one fiber syncs whenever something is unflushed, and
// everything written meanwhile goes into the next sync (group commit).
//
// When any effect fails the timeline stops: failure() says why, every connection of a proposer is
// closed, nothing is answered. A full disk, and WAL that does not decode, are recovered from by loading
// all from disk anew (try_recover); after a failed sync, or a control file whose fate is unknown,
// only a restart of the process looks at the disk again, and the safekeeper
// ends itself for that (Timelines::needs_restart).

#pragma once

#include <map>
#include <memory>
#include <optional>

#include "core/consensus/acceptor.h"
#include "core/consensus/membership.h"
#include "core/env/env.h"
#include "core/fiber/scope.h"
#include "core/fiber/sync.h"
#include "core/objstore/object_store.h"
#include "core/safekeeper/config.h"
#include "core/safekeeper/control_file.h"
#include "core/safekeeper/wal_storage.h"

namespace argon::safekeeper {

// What a timeline tells a proposer's connection. Owned by the connection's fiber.
class ProposerLink {
 public:
  explicit ProposerLink(consensus::ConnectionId id) : id(id) {}

  const consensus::ConnectionId id;
  Channel<consensus::AcceptorMessage> replies{256};
  // Closes `replies` after a Refusal.
  void refuse(const Error& reason);
};

// A position a reader reported, by its feedback.
struct ReaderState {
  consensus::PageserverFeedback pageserver;
  consensus::HotStandbyFeedback standby;
  bool is_pageserver = false;
  Lsn sent;
};

// A peer's view of this timeline, from the broker.
struct PeerInfo {
  consensus::MemberReport report;
  Lsn commit, backup, remote_consistent, local_start;
  std::string wal_address;
  std::string http_address;
  MonotonicTime heard;
};

// Under this name a safekeeper claims (Env::durable_claim) its "term" and "flush", whenever it tells them to
// a proposer or to peers (a truncation claims less first, and once more when nothing is left beyond), and its
// "backup" when it tells that to peers.
std::string claim_key(NodeId node, const TenantTimelineId& id, std::string_view what);

class Timeline {
 public:
  // Opens what is in `directory`. `scope` and `config` outlive the timeline; `store` may be null.
  static Result<std::unique_ptr<Timeline>> open(Task& task, Env& env, Scope& scope,
                                                const SafekeeperConfig& config, objstore::ObjectStore* store,
                                                std::string directory);
  // REQUIRES: stop() returned.
  ~Timeline();
  // Ends its fibers and closes proposers' connections; with `save` the positions are persisted first.
  Status stop(Task& task, bool save_positions);

  const TenantTimelineId& id() const { return control_.id; }
  // Why it does not serve; ok while it does.
  const Status& failure() const { return failure_; }
  // failure() is of the disk: only a new process may look at it again.
  bool needs_restart() const {
    return !failure_.ok() && !may_recover_ && !retired_ && !failure_.is(Code::Corrupt) &&
           !failure_.is(Code::Unsupported);
  }

  // ---- proposers
  void attach(ProposerLink& link);
  void detach(ProposerLink& link);
  // Gives a message to the acceptor and carries out what it says. Errors: failure(), Cancelled.
  Status on_message(Task& task, ProposerLink& link, const consensus::ProposerMessage& message);

  // ---- readers
  const Watermark<Lsn>& committed() const { return committed_; }
  Watermark<Lsn>& committed() { return committed_; }
  Watermark<Lsn>& flushed() { return flushed_; }
  // Up to into.size() bytes from one segment, not beyond `limit`; from the object store where the
  // segment is not here any more. NotFound where nobody has it.
  Result<size_t> read_wal(Task& task, Lsn at, Lsn limit, ByteSpan into);
  uint64_t add_reader();
  ReaderState& reader(uint64_t reader) { return readers_.at(reader); }
  void remove_reader(uint64_t reader) { readers_.erase(reader); }
  // WAL on this disk is not what was written: a reader was refused, or a segment not uploaded.
  void note_damage() { damaged_reads_++; }
  uint64_t damaged_reads() const { return damaged_reads_; }
  // The reader's feedback changed: tell the proposer.
  void on_feedback();

  // ---- peers, management
  Status on_peer(Task& task, const PeerInfo& peer);
  const std::map<NodeId, PeerInfo>& peers() const { return peers_; }
  // A peer has told of less than is here, and may not have heard of us: true once.
  bool take_asked() { return std::exchange(asked_, false); }
  // The peer whose log is highest, where it is higher than the one here and nobody is elected here to fill it
  // up.
  const PeerInfo* ahead() const;
  // As the acceptor's inputs of the same names (core/consensus/acceptor.h).
  Status follow_peer(Task& task, const consensus::PeerLog& log);
  Status on_peer_wal(Task& task, Lsn at, ByteView wal);
  Status set_configuration(Task& task, const consensus::Configuration& configuration);
  Status raise_term(Task& task, Term term);
  // How far it is, on the disk: the acceptor is ahead of that while what it wants done is being done.
  // REQUIRES: failure().ok().
  consensus::MemberReport position() const { return durable_; }
  // The same, to be told to a coordinator or to peers, who build on it.
  consensus::MemberReport report();
  // Leaves a tombstone (timelines.h) for its control file, and serves nobody any more: connections end. For
  // good. Stale where it knows a later configuration.
  Status bury(Task& task, const consensus::Configuration& configuration);
  // It was deleted: connections end, for good.
  Status condemn(Task& task);
  // Saves, uploads, removes what is due. Errors are logged inside; never suspends for long but on I/O.
  void manage(Task& task);
  // Persists positions; for a graceful stop.
  Status save(Task& task);
  // Where failure() is of a kind that may pass: opens everything anew.
  Status try_recover(Task& task);

  // ---- positions, for status and metrics. REQUIRES: failure().ok().
  const consensus::Acceptor& acceptor() const { return *acceptor_; }
  const WalStorage& storage() const { return *storage_; }
  const TimelineControl& control() const { return control_; }
  Lsn remote_consistent() const { return remote_consistent_; }
  Lsn backup() const { return backup_; }
  // As durable_claim() knows it.
  const std::string& backup_claim() const { return backup_claim_; }
  // A proposer is connected, or something is still to be read, uploaded or told.
  bool active() const;
  size_t proposers() const { return links_.size(); }
  size_t readers() const { return readers_.size(); }
  uint64_t flushes() const { return flushes_; }

 private:
  Timeline(Env& env, Scope& scope, const SafekeeperConfig& config, objstore::ObjectStore* store,
           std::string directory, TimelineControl control);

  Status load(Task& task);
  Status apply(Task& task, consensus::AcceptorEffects effects);
  Status apply_one(Task& task, consensus::AcceptorEffect& effect);
  Status truncate(Task& task, const consensus::TruncateWal& cut);
  Status flush_loop(Task& task);
  Status flush_once(Task& task);
  Status persist(Task& task);
  Error fail(const Error& error, bool may_recover);
  void reply(consensus::ConnectionId to, consensus::AcceptorMessage message);
  // What is told is claimed to be durable. Without WAL, or refused, `wal` is 0 and says nothing.
  void claim(Term term, Lsn wal);
  consensus::AppendResponse with_feedback(consensus::AppendResponse response) const;
  void publish_positions();
  void catch_up_if_behind();

  // upload.cc
  bool has_from_the_start(Lsn segment) const;
  bool is_uploader() const;
  Status upload_full_segments(Task& task);
  Status upload_partial(Task& task);
  Status prove_segment(Task& task, Lsn begin, Lsn end);
  Status upload_range(Task& task, const std::string& key, Lsn from, Lsn to);
  Lsn needed_from(const TimelineControl& control) const;
  Status remove_old_wal(Task& task);
  Status drop_previous_partial(Task& task);

  Env& env_;
  const SafekeeperConfig& config_;
  objstore::ObjectStore* store_;
  std::string directory_;
  std::string term_claim_;
  std::string flush_claim_;
  std::string backup_claim_;
  Logger log_;
  Mutex mutex_;
  TimelineControl control_;  // as on disk, but for positions that only grow
  std::shared_ptr<WalStorage> storage_;
  std::optional<consensus::Acceptor> acceptor_;
  consensus::MemberReport durable_;
  Term claimed_term_;  // durable_ lags behind what was told while the rest of an input's effects is done
  Lsn claimed_flush_;
  Status failure_;
  uint64_t damaged_reads_ = 0;
  bool may_recover_ = false;
  bool retired_ = false;  // what is told from now on need not last
  Watermark<Lsn> committed_;
  Watermark<Lsn> flushed_;
  std::map<consensus::ConnectionId, ProposerLink*> links_;
  std::map<uint64_t, ReaderState> readers_;
  uint64_t next_reader_ = 1;
  std::map<NodeId, PeerInfo> peers_;
  bool asked_ = false;
  bool catching_up_ = false;
  MonotonicTime led_at_;  // when a proposer was last seen to be elected here; before, when it was opened
  Lsn remote_consistent_;
  Lsn backup_;
  WaitList flush_wanted_;
  bool flusher_running_ = false;
  uint64_t flushes_ = 0;
  MonotonicTime saved_at_;
  Lsn saved_needed_from_;  // as the control file says that this process has written; none yet: nothing is
                           // removed
  Lsn partial_seen_;       // flush position when it was last looked at
  MonotonicTime partial_since_;  // and since when it is that
  Scope scope_;
};

}  // namespace argon::safekeeper
