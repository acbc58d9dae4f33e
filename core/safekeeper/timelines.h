// All timelines of one safekeeper: DATA_DIR/TENANT/TIMELINE/, opened at start.

#pragma once

#include <map>
#include <memory>

#include "core/safekeeper/timeline.h"

namespace argon::safekeeper {

class Timelines {
 public:
  // Everything given outlives this; `store` may be null.
  Timelines(Env& env, Scope& scope, const SafekeeperConfig& config, objstore::ObjectStore* store);

  // Opens all that is on disk. A timeline that cannot be opened is kept as broken(): others are served.
  Status load(Task& task);
  // NotFound, or why it cannot be opened.
  Result<std::shared_ptr<Timeline>> find(const TenantTimelineId& id);
  // AlreadyExists where it is there. `start`: where its WAL will begin; 0: the first election says.
  Result<std::shared_ptr<Timeline>> create(Task& task, const TenantTimelineId& id,
                                           const consensus::Configuration& configuration,
                                           const consensus::ServerInfo& server, Lsn start);
  // Stops it and removes its files (not what is in the object store). Ok where there is none.
  Status remove(Task& task, const TenantTimelineId& id);
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

  Env& env_;
  Scope& scope_;
  const SafekeeperConfig& config_;
  objstore::ObjectStore* store_;
  Logger log_;
  Mutex mutex_;  // creation and removal
  std::map<TenantTimelineId, std::shared_ptr<Timeline>> timelines_;
  std::map<TenantTimelineId, Error> broken_;
};

}  // namespace argon::safekeeper
