// All timelines of one safekeeper: DATA_DIR/TENANT/TIMELINE/. At the start control files are read; WAL is
// looked at when a timeline is first used, or in the background where the control file does not say where it
// ends.
//
// A timeline whose members this safekeeper is none of any more leaves its control file behind, without WAL: a
// tombstone. It says who the members are, so that a proposer that has not heard of it learns them here, and
// nobody makes the timeline here again under the same configuration or an older one. What was deleted leaves
// another one, for good (tombstone.h).

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "core/safekeeper/timeline.h"
#include "core/safekeeper/tombstone.h"

namespace argon::safekeeper {

class Timelines {
 public:
  // Everything given outlives this; `store` may be null.
  Timelines(Env& env, Scope& scope, const SafekeeperConfig& config, objstore::ObjectStore* store);

  // Reads all control files. A timeline whose own is damaged is kept as broken(): others are served.
  Status load(Task& task);
  // Opens, one after the other, those of which nothing may be told before. Their number is unknown().
  Status look_at_unknown(Task& task);
  size_t unknown() const;
  // Evicts those that nobody uses (SafekeeperConfig::evict_after), one after the other, for as long as the
  // task goes on.
  Status evict_idle(Task& task);
  size_t evicted() const;
  // It may be asleep, or fall asleep. NotFound; Stale where it was here, or was deleted; or why it cannot be
  // opened.
  Result<std::shared_ptr<Timeline>> find(const TenantTimelineId& id);
  // Awake for as long as what is returned is held, or with a failure(). Errors: find()'s, Cancelled,
  // TimedOut. Suspends while its WAL is looked at.
  Result<std::shared_ptr<Timeline>> use(Task& task, const TenantTimelineId& id);
  // As use(), but asleep where it is asleep and known(). wake() comes before anything but positions.
  Result<std::shared_ptr<Timeline>> hold(Task& task, const TenantTimelineId& id);
  // In use, as by use(). `start`: where its WAL will begin; 0: the first election says. Errors:
  // AlreadyExists, Unavailable (another call makes it, or the object store does not answer), Invalid (not a
  // member, or another disk's: disk_claim.h), Stale.
  Result<std::shared_ptr<Timeline>> create(Task& task, const TenantTimelineId& id,
                                           const consensus::Configuration& configuration,
                                           const consensus::ServerInfo& server, Lsn start);
  // As create(); but `fill` first puts WAL into the folder, and says what the control file is to hold.
  // Suspends as long as that takes. Errors also: fill's.
  using Fill = std::function<Result<TimelineControl>(Task&, const std::string& directory)>;
  Result<std::shared_ptr<Timeline>> install(Task& task, const TenantTimelineId& id,
                                            const consensus::Configuration& configuration, const Fill& fill);
  // Leaves a tombstone where the timeline was, or might have come to be: this safekeeper is not in
  // `configuration`. Its connections end soon; then its files go. Errors: Stale (it knows a later
  // configuration), Invalid (it is a member), of the disk.
  Status exclude(Task& task, const TenantTimelineId& id, const consensus::Configuration& configuration);
  // The members of a timeline that was here; null where it was not, or is.
  const consensus::Configuration* removed(const TenantTimelineId& id) const;
  // Deletes a timeline, or a tenant, for good, also where it never was: durable when ok, and then nobody is
  // served. True once nothing is left here and in the object store; until then manage() goes on. Errors:
  // Unavailable (it is being made just now); of the disk: it may have been deleted, ask again.
  Result<bool> remove(Task& task, const Tombstone& what);
  std::vector<Tombstone> tombstones() const;
  // Saves and stops all.
  Status stop(Task& task);
  void manage(Task& task);
  // The error of a timeline that only a new process may open again: a failed sync, a control file whose fate
  // is unknown, a disk that could not be read at start. Damaged files do not count: a restart repairs none.
  Status needs_restart() const;

  // By id.
  std::vector<TenantTimelineId> ids() const;
  const std::map<TenantTimelineId, Error>& broken() const { return broken_; }
  size_t size() const { return timelines_.size(); }

 private:
  std::string directory(const TenantTimelineId& id) const;
  Status load_one(Task& task, const TenantTimelineId& id);
  Status may_make(const TenantTimelineId& id, const consensus::Configuration& configuration);
  Result<std::shared_ptr<Timeline>> made(Task& task, const TenantTimelineId& id, Status written);
  Status claim(Task& task, const TenantTimelineId& id);
  Term former_term(const TenantTimelineId& id) const;
  // All but the control file.
  Status remove_segments(Task& task, const TenantTimelineId& id);
  // After exclude(): what is left of it goes, once nobody uses it.
  Status clear_away(Task& task, const TenantTimelineId& id);
  Result<bool> close_leaving(Task& task, const TenantTimelineId& id);

  // deletion.cc
  struct Clearing {
    std::vector<std::shared_ptr<Timeline>> timelines;  // whose connections may be there still
    bool done = false;                                 // nothing was left; late objects are looked for
    MonotonicTime due;                                 // of the next look
    Duration pause;
  };
  std::string directory(const Tombstone& what) const;
  bool is_deleted(const TenantTimelineId& id) const;
  Status withdraw_claims(Task& task, const Tombstone& what);
  Result<bool> load_tombstone(Task& task, const Tombstone& what);
  Status remove_files(Task& task, const Tombstone& what);
  Status clear_deleted(Task& task, const Tombstone& what);
  void clear_all_deleted(Task& task);

  Env& env_;
  Scope& scope_;
  const SafekeeperConfig& config_;
  objstore::ObjectStore* store_;
  Logger log_;
  std::string disk_;  // its identity
  Mutex mutex_;       // creation and removal
  std::map<TenantTimelineId, std::shared_ptr<Timeline>> timelines_;
  std::map<TenantTimelineId, Error> broken_;
  std::map<TenantTimelineId, TimelineControl> removed_;  // tombstones
  std::map<TenantTimelineId, std::shared_ptr<Timeline>>
      leaving_;  // removed, not cleared away yet; null: not open
  std::set<TenantTimelineId> filling_;
  std::map<Tombstone, Clearing> deleted_;
};

}  // namespace argon::safekeeper
