// One timeline on one safekeeper: drives the acceptor, and is what connections, uploads and the
// management API work with.
//
// Acceptor inputs are serialised by one mutex, and each is given only after the effects of the one before
// are done. WAL is written under it; the flush is not: one fiber syncs whenever something is unflushed, and
// everything written meanwhile goes into the next sync (group commit).
//
// When an effect fails for want of space, WAL is refused, and all else goes on (full_disk.cc). When it fails
// otherwise the timeline stops: failure() says why, every connection of a proposer is closed, nothing is
// answered. WAL that does not decode is recovered from by loading all from disk anew (try_recover); after a
// failed sync, or a control file whose fate is unknown, only a restart of the process looks at the disk
// again, and the safekeeper ends itself for that (Timelines::needs_restart).

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
#include "core/safekeeper/decoded_wal.h"
#include "core/safekeeper/feedback.h"
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

class Timeline : public std::enable_shared_from_this<Timeline> {
 public:
  // The timeline whose control file in `directory` is `control`, asleep (sleep.cc). `scope` and `config`
  // outlive it; `store` may be null.
  static std::unique_ptr<Timeline> asleep_at(Env& env, Scope& scope, const SafekeeperConfig& config,
                                             objstore::ObjectStore* store, std::string directory,
                                             TimelineControl control);
  // REQUIRES: stop() returned.
  ~Timeline();
  // Ends its fibers and closes proposers' connections; with `save` the positions are persisted first, and
  // where WAL ends.
  Status stop(Task& task, bool save_positions);

  const TenantTimelineId& id() const { return control_.id; }
  // Why it does not serve; ok while it does.
  const Status& failure() const { return failure_; }
  // Why proposers are refused, while all else is served: the disk is full. Ok while it takes WAL.
  const Status& wal_refused() const { return wal_refused_; }
  // failure() is of the disk: only a new process may look at it again.
  bool needs_restart() const {
    return !failure_.ok() && !may_recover_ && !retired_ && !failure_.is(Code::Corrupt) &&
           !failure_.is(Code::Unsupported);
  }

  // ---- sleep
  // The same timeline, which does not go to sleep while what is returned is held.
  static std::shared_ptr<Timeline> in_use(std::shared_ptr<Timeline> timeline);
  // Opens its WAL where it is asleep. What goes wrong then is failure(). Errors: Cancelled, TimedOut;
  // Unavailable where it is evicted and cannot be had from the object store now: ask again.
  Status wake(Task& task);
  bool asleep() const { return !acceptor_ && failure_.ok(); }
  // What position() says has been seen to be on the disk, by this process or by one that closed it since.
  bool known() const { return known_; }
  // Whether a timeline that is asleep must hear this.
  bool wakes_for(const PeerInfo& peer);
  // Where nobody uses it, and nothing is left to be done for it.
  Status sleep(Task& task);
  // The same, and nobody has for a while.
  Status sleep_if_idle(Task& task);

  // ---- eviction (eviction.cc)
  // Its WAL is in the object store alone.
  bool evicted() const { return control_.evicted.has_value(); }
  // Evicts it where nobody has used it for a while, and all of its WAL is in the object store.
  Status evict_if_idle(Task& task);
  // It would be evicted, but that something is still to be uploaded: wake it.
  bool wants_upload() const;
  // Begins to bring WAL back where it is evicted; wake() waits for that.
  void return_soon();
  uint64_t evictions() const { return evictions_; }
  uint64_t returns() const { return returns_; }
  uint64_t failed_returns() const { return failed_returns_; }

  // ---- proposers. REQUIRES, here and for readers: it is in_use() and was awoken.
  void attach(ProposerLink& link);
  void detach(ProposerLink& link);
  // Gives a message to the acceptor and carries out what it says. Errors: failure(), wal_refused(),
  // Cancelled.
  Status on_message(Task& task, ProposerLink& link, const consensus::ProposerMessage& message);

  // ---- readers
  const Watermark<Lsn>& committed() const { return committed_; }
  Watermark<Lsn>& committed() { return committed_; }
  Watermark<Lsn>& flushed() { return flushed_; }
  // Up to into.size() bytes from one segment, not beyond `limit`; from the object store where the
  // segment is not here any more. NotFound where nobody has it.
  Result<size_t> read_wal(Task& task, Lsn at, Lsn limit, ByteSpan into);
  // A reader that has everything, and only waits, is no use of the timeline while this lives: it may fall
  // asleep, and be evicted. Afterwards wake() comes before anything else but positions. REQUIRES: it is
  // in_use() for the reader.
  class Waiting {
   public:
    explicit Waiting(Timeline& timeline) : timeline_(timeline.shared_from_this()) {
      timeline_->users_--;
      timeline_->waiting_readers_++;
    }
    ~Waiting() {
      timeline_->users_++;
      timeline_->waiting_readers_--;
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    std::shared_ptr<Timeline> timeline_;  // at a power loss this fiber may be the last that has it
  };
  // Its committed WAL, decoded for those who want it so.
  DecodedWal& decoded() { return decoded_; }
  const DecodedWal& decoded() const { return decoded_; }
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
  // REQUIRES: failure().ok(), known().
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

  // The hash chain at `lsn`. Errors: NotFound (it begins later here), Invalid (not committed), of the disk.
  // REQUIRES: awake.
  Result<ChainLink> chain_at(Task& task, Lsn lsn);

  // ---- positions, for status and metrics. REQUIRES: failure().ok().
  // REQUIRES: awake.
  const consensus::Acceptor& acceptor() const {
    CHECK(acceptor_.has_value());
    return *acceptor_;
  }
  const WalStorage& storage() const { return *storage_; }
  // The acceptor's, or the control file's while it is asleep.
  const consensus::AcceptorState& state() const { return acceptor_ ? acceptor_->state() : control_.acceptor; }
  Lsn peer_horizon() const { return acceptor_ ? acceptor_->truncate() : Lsn(); }
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
  // Where it is time; in the background.
  void make_spare_segment();
  Status persist(Task& task);
  Error fail(const Error& error, bool may_recover);
  void reply(consensus::ConnectionId to, consensus::AcceptorMessage message);
  // What is told is claimed to be durable. Without WAL, or refused, `wal` is 0 and says nothing.
  void claim(Term term, Lsn wal);
  consensus::AppendResponse with_feedback(consensus::AppendResponse response) const;
  void publish_positions();
  void catch_up_if_behind();

  // sleep.cc
  void trust_control_file();
  bool may_sleep() const;
  Status close(Task& task);
  Status drop_unfinished_record(Task& task);
  Status reopen(Task& task);

  // eviction.cc
  std::optional<std::string> stored_tail() const;
  bool may_evict() const;
  bool unused_for(Duration time) const;
  Status evict(Task& task);
  Result<uint32_t> prove_tail(Task& task, const TimelineControl& control);
  Status compare_stored(Task& task, const EvictedTail& tail);
  Status see_older_stored(Task& task, Lsn below);
  Status upload_tail_again(Task& task, const TimelineControl& before, const Error& why);
  Status replace_control(Task& task, TimelineControl control);
  Status clear_leftovers(Task& task);
  Status remove_segments(Task& task);
  std::string segment_path(Lsn begin) const;
  Status bring_back(Task& task);
  Status return_wal(Task& task);
  Status fetch_from_peers(Task& task, const TimelineControl& then, const Error& why,
                          const std::string& temporary);
  Status fetch_tail(Task& task, const TimelineControl& then, const std::string& key,
                    const std::string& temporary);

  // chain_upkeep.cc
  void begin_chain();
  bool chain_lags() const;
  Status advance_chain(Task& task);
  void trim_chain();

  // full_disk.cc. The first: `error` is an effect's, of kind NoSpace; returns what is to be answered.
  Error refuse_wal(Task& task, const Error& error);
  Status take_back(Task& task);
  Status take_wal_again(Task& task);

  // upload.cc
  bool has_from_the_start(Lsn segment) const;
  std::string partial_key(Lsn segment, Term term, Lsn flush) const;
  bool is_uploaded() const;
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
  SpareSegment spare_;
  std::shared_ptr<WalStorage> storage_;          // null while it is asleep
  std::optional<consensus::Acceptor> acceptor_;  // the same
  bool known_ = false;
  consensus::MemberReport durable_;
  Term claimed_term_;  // durable_ lags behind what was told while the rest of an input's effects is done
  Lsn claimed_flush_;
  Status failure_;
  Status wal_refused_;
  uint64_t damaged_reads_ = 0;
  bool may_recover_ = false;
  bool retired_ = false;  // what is told from now on need not last
  Watermark<Lsn> committed_;
  Watermark<Lsn> flushed_;
  std::map<consensus::ConnectionId, ProposerLink*> links_;
  DecodedWal decoded_;
  std::map<uint64_t, ReaderState> readers_;
  uint64_t next_reader_ = 1;
  std::map<NodeId, PeerInfo> peers_;
  bool asked_ = false;
  bool catching_up_ = false;
  bool managing_ = false;
  int users_ = 0;
  size_t waiting_readers_ = 0;
  bool leftovers_;          // evicted, and segments may be here that count for nothing
  bool returning_ = false;  // a fiber brings WAL back
  WaitList returned_;       // notified when that has ended,
  uint64_t returns_ended_ = 0;
  Status return_failure_;  // and how
  uint64_t evictions_ = 0;
  uint64_t returns_ = 0;
  uint64_t failed_returns_ = 0;
  MonotonicTime used_at_;  // when the last of them went
  MonotonicTime led_at_;   // when a proposer was last seen to be elected here; before, when it was awoken
  Lsn remote_consistent_;
  // The last acknowledgement, to be told again with newer feedback.
  struct Told {
    consensus::ConnectionId to;
    consensus::AppendResponse response;
  };
  std::optional<Told> told_;
  Lsn backup_;
  WaitList flush_wanted_;
  bool flusher_running_ = false;
  uint64_t spare_tried_ = 0;  // the segment during which the next one was made ahead last
  uint64_t flushes_ = 0;
  MonotonicTime saved_at_;
  Lsn saved_needed_from_;  // as the control file says that this process has written; none yet: nothing is
                           // removed
  Lsn partial_seen_;       // flush position when it was last looked at
  MonotonicTime partial_since_;  // and since when it is that
  Scope scope_;
};

}  // namespace argon::safekeeper
