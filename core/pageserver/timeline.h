// Timeline: one line of history: its layers, what is read from it, and the work in its background.
//
// run() holds the fibers that flush, compact and upload while there is something to do; the WAL receiver
// (receiver.h) feeds ingest(). A branch reads through to its ancestor's store and keeps the ancestor alive.
//
// LSNs, each at or above the next: last_record (ingested, in memory), disk_consistent (in layers on
// disk), remote_consistent (in layers and an index of this life in the object store, 0 before there is
// one; only this one may make anybody drop WAL).

#pragma once

#include <functional>
#include <map>
#include <memory>

#include "core/base/metrics.h"
#include "core/env/log.h"
#include "core/fiber/scope.h"
#include "core/pageserver/catalog.h"
#include "core/pageserver/commit_time.h"
#include "core/pageserver/gc.h"
#include "core/pageserver/ingest.h"
#include "core/pageserver/layer_store.h"
#include "core/pageserver/lsn_holds.h"
#include "core/pageserver/remote.h"

namespace argon::pageserver {

struct TimelineOptions {
  StoreOptions store;
  Duration checkpoint_timeout = Duration::seconds(30);  // the open layer is frozen at least so often
  Duration compaction_period = Duration::seconds(10);
  Duration wait_lsn_timeout = Duration::seconds(60);  // of a read, for WAL that has not come
  Duration retry_delay = Duration::seconds(1);        // after disk or object store failed
  Duration rest_after = Duration::seconds(10);        // without anything to do in the background
};

// What all timelines of a pageserver share. All of it outlives them.
struct Services {
  Env& env;
  objstore::ObjectStore& objects;
  NodeCache& nodes;
  Semaphore& uploads;
  Metrics& metrics;
  DeletionQueue& deletions;
  RedoProcessConfig redo_process = {};  // without libraries; no server named: none can be started
  NodeId node = NodeId(1);              // whose claims these are (location.h)
  MaterializedPages* pages = nullptr;   // none: each page that is read is made anew
};

// Under this name a pageserver claims (Env::durable_claim) the remote_consistent position that it tells to
// safekeepers.
std::string remote_claim_key(const TenantTimelineId& id);

// Where a read is made; GC keeps what it needs while this lives. The timeline outlives it.
struct ReadPoint {
  Lsn lsn;
  LsnHolds::Hold hold;
};

class Timeline {
 public:
  Timeline(Services& services, const TimelineOptions& options, TenantTimelineId id, std::string folder,
           std::shared_ptr<Timeline> ancestor, std::shared_ptr<ExtensionRedo> extensions,
           std::shared_ptr<TenantGc> tenant_gc);

  const TenantTimelineId& id() const { return store_.id(); }
  LayerStore& store() { return store_; }
  Catalog& catalog() { return catalog_; }
  Remote& remote() { return remote_; }
  const std::shared_ptr<Timeline>& ancestor() const { return ancestor_; }
  Lsn last_record() { return store_.last_record().value(); }
  Lsn remote_consistent() const { return remote_consistent_.value(); }
  const Logger& log() const { return log_; }

  // Flushes, compacts, uploads and collects garbage until the task is cancelled (background.cc). Errors of
  // the disk and the object store are logged and tried again. `begin` spawns what else is to run while there
  // is something to do.
  using Begin = std::function<void(Scope&)>;
  Status run(Task& task, const Begin& begin);
  bool rests() const { return rests_; }
  // Runs what `begin` spawns into a scope, until that has ended or the timeline is retired.
  Status live(Task& task, const Begin& begin);
  bool lives() const { return life_ != nullptr; }
  // It was deleted, or is loaded anew: its fibers, its guests' connections and all waits for its LSNs
  // (Unavailable) end, nothing is uploaded any more. Does not suspend.
  void retire();
  bool retired() const { return retired_; }
  // A connection that reads the timeline, for as long as this lives.
  class Guest {
   public:
    Guest(Timeline& timeline, Stream& stream);
    ~Guest() { timeline_.guests_.erase(number_); }
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

   private:
    Timeline& timeline_;
    uint64_t number_;
  };
  // Where the first WAL goes to. Made on first use, once the state at the end of the timeline can be
  // read (a branch may have to wait for its ancestor's WAL).
  Result<Ingest*> ingest(Task& task);

  // Where a request is answered. Waits for not_modified_since only. Errors: TimedOut (the WAL did not come),
  // Invalid (below what can be read).
  Result<ReadPoint> read_point(Task& task, Lsn request_lsn, Lsn not_modified_since);
  // Ok if the timeline can be read at lsn, or will be. Invalid names the GC cutoff, or where history begins.
  Status check_readable(Lsn lsn);
  // The same, and it stays so as long as the hold lives. Does not suspend.
  Result<LsnHolds::Hold> hold(Lsn lsn);
  // For a branch: its branch point, held in its ancestor.
  void set_branch_hold(LsnHolds::Hold hold) { branch_hold_ = std::move(hold); }
  // The lowest LSN from which on all can be read.
  Lsn min_readable() const;

  // Until the time that is returned reads and branches at lsn are possible, over restarts too. Invalid: not
  // readable; Unavailable: nothing can be promised yet; Stale: another pageserver has the tenant by now.
  Result<WallTime> lease(Task& task, Lsn lsn);
  // Leases of an earlier life may be in force from now on for as long as one may last.
  void leases_were_lost() { gc_holdoff_from_ = env_.now(); }
  // A round of garbage collection; without settings by the tenant's. Unavailable says what it waits for.
  Result<GcResult> gc(Task& task, const std::optional<GcSettings>& settings = {});
  // Ok where a round may begin now.
  Status gc_allowed() const;
  size_t leases() const { return holds_.leases(); }
  // LSNs under a lease; one of what is read from an ancestor is under that one's.
  std::vector<Lsn> leased() { return holds_.leased(env_.now()); }
  // What the history of an ancestor's own is above; 0: there is none.
  Lsn branch_point() const { return ancestor_ ? store_.ancestor_lsn() : Lsn(); }

  // Bytes of all relations at the end of the timeline. The first call looks at the size of each; from then on
  // it is kept.
  Result<uint64_t> current_size(Task& task);

  // The last commit that is readable at `time`, and the other way round (PostgreSQL's time).
  Result<LsnAtTime> lsn_at(Task& task, int64_t time);
  Result<std::optional<CommitTime>> commit_at(Task& task, Lsn lsn);

  // For operators and tests: everything ingested so far is durable in the object store.
  Status checkpoint(Task& task);
  // The same by itself, where run() has ended: for an orderly stop.
  Status save(Task& task);
  // One round: L0 to L1, images where needed, files swept.
  Status compact(Task& task);
  // After a start: everything in `index` is in the object store under `key`. Moves remote_consistent() not:
  // until this life has put an index, one of an earlier life that comes late may take the place of `key`.
  void set_remote(const TimelineIndex& index, const std::string& key);
  // Stale: its location is AttachedStale, so that nothing is uploaded.
  Status check_uploads() const;
  // An upload that began before the location was changed has ended. Suspends.
  Status uploads_ended(Task& task);
  // Uploads what is not in the object store yet, once.
  Status upload(Task& task);
  // No index that comes late can take the place of this timeline any more.
  Status settle(Task& task) {
    return remote_consistent().valid() && !remote_.unsettled() ? Status() : upload(task);
  }
  // The same for whoever has the history at lsn, this timeline or an ancestor.
  Status settle_at(Task& task, Lsn lsn) { return holder_of(lsn).settle(task); }

  // Where the history that is read from ancestors is the timeline's own (detach.cc): its index, and that
  // one's key in the object store. This object is not to be used any more then: it is to be loaded anew from
  // there. Calls before_switch once the copies are made; what it locks stays so until this returns. Errors:
  // Unavailable says what it waits for. After any error nothing has changed for this life.
  struct Switched {
    TimelineIndex index;
    std::string key;
  };
  Result<Switched> detach(Task& task, const std::function<Status(Task&)>& before_switch);
  // Its index that says that it is archived since `at`. This object is not to be used any more then. After an
  // error it goes on, and the next upload says that it is not.
  Result<Switched> archive(Task& task, WallTime at);

  // A layer was damaged on the disk before it was uploaded. What the object store does not have is then made
  // anew from WAL, which safekeepers hold from remote_consistent() on.
  bool wants_rebuild() const { return wants_rebuild_; }
  WaitList& rebuild_wanted() { return rebuild_wanted_; }
  // Gives `apply` the WAL of the timeline from `from` on, record by record, until one ends at or above `to`.
  using Apply = std::function<Status(Task&, const pg::WalRecord&)>;
  using ReadWal = std::function<Status(Task&, Lsn from, Lsn to, const Apply& apply)>;
  // Uploads and compactions wait meanwhile; reads, ingest and flushes do not. After an error nothing has
  // changed.
  Status rebuild(Task& task, const ReadWal& read_wal);

 private:
  bool has_work() const;
  // Something is to be uploaded, and may be.
  bool behind() const { return may_upload(tenant_gc_->mode) && remote_.behind(store_); }
  Status work(Task& task, const Begin& begin);
  Status rest(Task& task);
  MonotonicTime next_gc() const;
  Status flush_loop(Task& task);
  Status compact_loop(Task& task);
  Status upload_loop(Task& task);
  Status try_upload(Task& task);
  Status gc_loop(Task& task);
  Result<Lsn> gc_target(Task& task, const GcSettings& settings);
  Status cover_history(Task& task);
  Status remove_garbage(Task& task, GcResult& result);
  Status find_orphans(Task& task);
  // What a timeline without ancestors needs beside its own.
  struct Inheritance {
    std::vector<LayerStore::LayerPtr> layers;
    Lsn start;
    Lsn cutoff;
    std::set<Lsn> retained;
  };
  Status may_detach() const;
  Status flush_up_to(Task& task, Lsn lsn);
  Result<Inheritance> copy_history(Task& task);
  void add_held(Inheritance& inherited);
  // Who has the history at lsn: this timeline, or an ancestor.
  Timeline& holder_of(Lsn lsn);
  Status make_images(Task& task);
  Status make_slru_images(Task& task);
  Status make_image(Task& task, const LayerStore::ImageNeed& need);
  Status rebuild_from(Task& task, LayerStore& anew, const ReadWal& read_wal);

  Env& env_;
  std::optional<int64_t> blocks_before_;  // when this life began, as current_size() found
  TimelineOptions options_;
  std::shared_ptr<Timeline> ancestor_;
  LsnHolds::Hold branch_hold_;
  LsnHolds holds_;
  std::shared_ptr<ExtensionRedo> extensions_;  // the tenant's
  std::shared_ptr<TenantGc> tenant_gc_;        // likewise
  std::optional<MonotonicTime> gc_holdoff_from_;
  MonotonicTime last_gc_;
  Logger log_;
  LayerStore store_;
  Catalog catalog_;
  Remote remote_;
  std::unique_ptr<Ingest> ingest_;
  Watermark<Lsn> flushed_;
  Watermark<Lsn> remote_consistent_;
  Mutex compacting_;
  Mutex uploading_;
  Scope* life_ = nullptr;
  bool rests_ = false;
  bool retired_ = false;
  std::map<uint64_t, Stream*> guests_;
  uint64_t next_guest_ = 0;
  Lsn images_failed_at_;
  bool wants_rebuild_ = false;
  WaitList rebuild_wanted_;
  Counter& flushes_;
  Counter& compactions_;
  Counter& images_;
  Counter& gc_rounds_;
  Counter& gc_layers_;
  Counter& gc_bytes_;
};

// Waits for a notification, at most so long. Error: Cancelled.
Status wait_at_most(Task& task, WaitList& list, Duration time);

}  // namespace argon::pageserver
