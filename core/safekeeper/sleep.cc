// Timelines that nobody uses are asleep: no acceptor, no open segment, no fiber, only what the control file
// says.
//
// Before a timeline goes to sleep, and at an orderly stop, the control file says where WAL ends (closed_at),
// which is flushed and decoded by then; it says so no more, durably, before WAL is written or cut again. So
// at the next start its positions are known without a look at WAL, and may be told. One that a crash caught
// awake is looked at before anything is told of it: when it is used, or in the background
// (Timelines::look_at_unknown).
//
// News of peers wakes a timeline only where it concerns it. Who holds a Timelines::use() keeps it awake, but
// for readers that have everything and only wait: a pageserver stays connected to one safekeeper of each
// timeline.

#include "core/env/points.h"
#include "core/safekeeper/timeline.h"

namespace argon::safekeeper {

std::unique_ptr<Timeline> Timeline::asleep_at(Env& env, Scope& scope, const SafekeeperConfig& config,
                                              objstore::ObjectStore* store, std::string directory,
                                              TimelineControl control) {
  std::unique_ptr<Timeline> timeline(
      new Timeline(env, scope, config, store, std::move(directory), std::move(control)));
  timeline->trust_control_file();
  return timeline;
}

void Timeline::trust_control_file() {
  const consensus::AcceptorState& state = control_.acceptor;
  remote_consistent_ = control_.remote_consistent;
  backup_ = control_.backup;
  known_ = !state.local_start.valid() || control_.closed_at.valid();
  if (!known_) return;
  durable_ = {config_.id,
              state.configuration.generation,
              state.term,
              {state.history.term_at(control_.closed_at), control_.closed_at}};
}

std::shared_ptr<Timeline> Timeline::in_use(std::shared_ptr<Timeline> timeline) {
  struct Use {
    explicit Use(std::shared_ptr<Timeline> used) : timeline(std::move(used)) { timeline->users_++; }
    ~Use() {
      timeline->users_--;
      timeline->used_at_ = timeline->env_.now();
    }
    std::shared_ptr<Timeline> timeline;
  };
  auto use = std::make_shared<Use>(std::move(timeline));
  return {use, use->timeline.get()};
}

Status Timeline::wake(Task& task) {
  Lock lock;
  for (;;) {
    TRY(bring_back(task));
    TRY(lock.acquire(task, mutex_));
    if (!asleep()) return {};
    if (!evicted()) break;
    lock.release();  // evicted while the lock was waited for; not again while it is in use
  }
  Uninterruptible whole(task);
  led_at_ = used_at_ = env_.now();
  Status loaded = load(task);
  if (loaded.ok()) return {};
  may_recover_ = loaded.is(Code::NoSpace);
  failure_ = std::move(loaded).with("timeline " + to_string(id()) + " is not served");
  log_.error("{}", failure_.error().to_string());
  return {};
}

bool Timeline::wakes_for(const PeerInfo& peer) {
  if (!known_) return false;
  Lsn commit = control_.acceptor.commit;
  if (evicted()) {
    // Positions alone are no reason to bring WAL back; whoever tells them does so again.
    backup_ = std::max(backup_, peer.backup);
    remote_consistent_ = std::max(remote_consistent_, peer.remote_consistent);
  }
  asked_ = asked_ || peer.report.position < durable_.position || peer.commit < commit;
  bool undecided = commit < durable_.position.flush && peer.report.position == durable_.position;
  return undecided || peer.commit > commit || peer.report.position > durable_.position ||
         peer.backup > backup_ || peer.remote_consistent > remote_consistent_;
}

bool Timeline::may_sleep() const {
  bool used =
      users_ > 0 || managing_ || catching_up_ || !links_.empty() || readers_.size() > waiting_readers_;
  return !asleep() && failure_.ok() && wal_refused_.ok() && !used && !acceptor_->unflushed() &&
         ahead() == nullptr && is_uploaded();
}

Status Timeline::sleep_if_idle(Task& task) {
  bool idle = env_.now() - used_at_ >= config_.sleep_after;
  return may_sleep() && (idle || env_.buggify("safekeeper.sleeps-early"_rare)) ? sleep(task) : Status();
}

Status Timeline::sleep(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (!may_sleep()) return {};
  TRY(close(task));
  // Work may have begun while that was written.
  if (!may_sleep()) {
    env_.probe("safekeeper.stays-awake"_probe);
    return {};
  }
  acceptor_.reset();
  storage_.reset();
  peers_.clear();
  flush_wanted_.notify_all();
  env_.probe("safekeeper.fell-asleep"_probe);
  return {};
}

Status Timeline::close(Task& task) {
  if (!acceptor_) return {};
  Uninterruptible whole(task);
  TimelineControl before = control_;
  control_.acceptor = acceptor_->state();
  if (acceptor_->has_wal() && !acceptor_->unflushed()) {
    TRY(drop_unfinished_record(task));
    control_.closed_at = acceptor_->flush();
    if (Status dropped = spare_.drop(task); !dropped.ok()) log_.warn("{}", dropped.error().to_string());
  }
  bool same =
      control_ == before && backup_ <= control_.backup && remote_consistent_ <= control_.remote_consistent;
  return same ? Status() : persist(task);
}

// Nothing was told of it.
Status Timeline::drop_unfinished_record(Task& task) {
  Lsn flush = acceptor_->flush();
  if (acceptor_->write() == flush) return {};
  auto check = storage_->truncate(task, flush);
  if (!check.ok()) return fail(check.error(), false);
  acceptor_.emplace(config_.id, control_.acceptor, consensus::WalEnd{flush, *check});
  return {};
}

// Before WAL is written or cut.
Status Timeline::reopen(Task& task) {
  if (!control_.closed_at.valid()) return {};
  control_.closed_at = Lsn();
  return persist(task);
}

}  // namespace argon::safekeeper
