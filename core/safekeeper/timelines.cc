#include "core/safekeeper/timelines.h"

#include <algorithm>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/safekeeper/disk_claim.h"

namespace argon::safekeeper {
namespace {

// After each timeline that is looked at in the background, so that others are served meanwhile.
constexpr Duration kLookPause = Duration::milliseconds(2);

}  // namespace

Timelines::Timelines(Env& env, Scope& scope, const SafekeeperConfig& config, objstore::ObjectStore* store)
    : env_(env), scope_(scope), config_(config), store_(store), log_(env.log()) {}

std::string Timelines::directory(const TenantTimelineId& id) const {
  return join_path(join_path(config_.data_dir, to_string(id.tenant)), to_string(id.timeline));
}

Status Timelines::load(Task& task) {
  TRY(make_dirs(task, env_.disk(), config_.data_dir));
  TRY_ASSIGN(disk_, disk_identity(task, env_, config_.data_dir));
  TRY_ASSIGN(std::vector<DirEntry> tenants, env_.disk().list(task, config_.data_dir));
  for (const DirEntry& tenant : tenants) {
    auto tenant_id = parse_tenant_id(tenant.name);
    if (!tenant.is_directory || !tenant_id.ok()) continue;
    TRY_ASSIGN(bool deleted, load_tombstone(task, {*tenant_id, {}}));
    if (deleted) continue;
    TRY_ASSIGN(std::vector<DirEntry> entries,
               env_.disk().list(task, join_path(config_.data_dir, tenant.name)));
    for (const DirEntry& entry : entries) {
      auto timeline_id = parse_timeline_id(entry.name);
      if (entry.is_directory && timeline_id.ok()) TRY(load_one(task, {*tenant_id, *timeline_id}));
    }
  }
  log_.info("found {} timelines, {} more are damaged; the WAL of {} is still to be looked at",
            timelines_.size(), broken_.size(), unknown());
  return {};
}

Status Timelines::load_one(Task& task, const TenantTimelineId& id) {
  TRY_ASSIGN(bool deleted, load_tombstone(task, {id.tenant, id.timeline}));
  if (deleted) return {};
  auto control = read_control(task, env_.disk(), directory(id));
  if (control.ok() && control->id == id && !control->acceptor.configuration.contains(config_.id)) {
    removed_[id] = *std::move(control);
    leaving_[id] = nullptr;
    return {};
  }
  if (control.is(Code::Cancelled)) return control.error();
  if (control.is(Code::NotFound)) {
    // A crash while it was made: there never was a control file, so nothing was promised.
    env_.probe("safekeeper.no-control-file"_probe);
    log_.warn("{} has no control file, ignored", directory(id));
    return {};
  }
  if (control.ok() && control->id != id)
    control = Error(Code::Corrupt, "its control file is of timeline " + to_string(control->id));
  if (!control.ok()) {
    log_.error("timeline {} is not served: {}", to_string(id), control.error().to_string());
    broken_.emplace(id, control.error());
    return {};
  }
  timelines_[id] = Timeline::asleep_at(env_, scope_, config_, store_, directory(id), *std::move(control));
  return {};
}

Status Timelines::look_at_unknown(Task& task) {
  for (const TenantTimelineId& id : ids()) {
    auto found = timelines_.find(id);
    if (found == timelines_.end() || found->second->known()) continue;
    std::shared_ptr<Timeline> timeline = found->second;
    env_.probe("safekeeper.looked-at-later"_probe);
    // What goes wrong is the timeline's failure(), or it was removed meanwhile.
    ignore_result(use(task, id));
    ignore_result(timeline->sleep(task));
    TRY(task.sleep(kLookPause));
  }
  return {};
}

size_t Timelines::unknown() const {
  return static_cast<size_t>(std::ranges::count_if(
      timelines_, [](const auto& entry) { return entry.second->failure().ok() && !entry.second->known(); }));
}

Status Timelines::evict_idle(Task& task) {
  for (;;) {
    TRY(task.sleep(config_.manage_interval));
    for (const TenantTimelineId& id : ids()) {
      auto found = timelines_.find(id);
      if (found == timelines_.end() || task.cancelled()) continue;
      std::shared_ptr<Timeline> timeline = found->second;
      // Awake it is uploaded, and falls asleep again. What goes wrong is the timeline's failure().
      if (timeline->wants_upload()) ignore_result(use(task, id));
      if (Status done = timeline->evict_if_idle(task); !done.ok() && !done.is(Code::Cancelled))
        log_.warn("evict timeline {}: {}", to_string(id), done.error().to_string());
    }
  }
}

size_t Timelines::evicted() const {
  return static_cast<size_t>(
      std::ranges::count_if(timelines_, [](const auto& entry) { return entry.second->evicted(); }));
}

Result<std::shared_ptr<Timeline>> Timelines::use(Task& task, const TenantTimelineId& id) {
  TRY_ASSIGN(std::shared_ptr<Timeline> found, find(id));
  std::shared_ptr<Timeline> used = Timeline::in_use(std::move(found));
  TRY(used->wake(task));
  return used;
}

Result<std::shared_ptr<Timeline>> Timelines::hold(Task& task, const TenantTimelineId& id) {
  TRY_ASSIGN(std::shared_ptr<Timeline> found, find(id));
  std::shared_ptr<Timeline> held = Timeline::in_use(std::move(found));
  if (!held->known()) TRY(held->wake(task));
  return held;
}

Result<std::shared_ptr<Timeline>> Timelines::find(const TenantTimelineId& id) {
  if (auto found = timelines_.find(id); found != timelines_.end()) return found->second;
  if (auto why = broken_.find(id); why != broken_.end())
    return Error(Code::Unavailable,
                 "timeline " + to_string(id) + " is not served: " + why->second.to_string());
  if (const consensus::Configuration* members = removed(id); members != nullptr)
    return Error(Code::Stale, "timeline " + to_string(id) +
                                  " was removed from this safekeeper: its members are " +
                                  to_string(*members));
  if (is_deleted(id)) return Error(Code::Stale, "timeline " + to_string(id) + " was deleted");
  return Error(Code::NotFound, "timeline " + to_string(id) + " is not on this safekeeper");
}

const consensus::Configuration* Timelines::removed(const TenantTimelineId& id) const {
  auto found = removed_.find(id);
  return found == removed_.end() ? nullptr : &found->second.acceptor.configuration;
}

Term Timelines::former_term(const TenantTimelineId& id) const {
  auto found = removed_.find(id);
  return found == removed_.end() ? Term() : found->second.acceptor.term;
}

Result<std::shared_ptr<Timeline>> Timelines::create(Task& task, const TenantTimelineId& id,
                                                    const consensus::Configuration& configuration,
                                                    const consensus::ServerInfo& server, Lsn start) {
  TimelineControl control;
  control.id = id;
  control.acceptor.configuration = configuration;
  control.acceptor.server = server;
  control.acceptor.timeline_start = start;
  return install(task, id, configuration, [&](Task&, const std::string&) { return control; });
}

Status Timelines::may_make(const TenantTimelineId& id, const consensus::Configuration& configuration) {
  TRY(configuration.validate());
  if (!configuration.contains(config_.id))
    return Error(Code::Invalid,
                 "safekeeper " + to_string(config_.id) + " is not in " + to_string(configuration));
  if (filling_.contains(id))
    return Error(Code::Unavailable, "timeline " + to_string(id) + " is being made on this safekeeper");
  auto found = find(id);
  if (found.ok()) return Error(Code::AlreadyExists, "timeline " + to_string(id) + " exists already");
  const consensus::Configuration* members = removed(id);
  bool later = members != nullptr && members->generation < configuration.generation;
  if (!found.is(Code::NotFound) && !later) return found.error();
  if (leaving_.contains(id))
    return Error(Code::Unavailable,
                 "timeline " + to_string(id) + " is still being removed from this safekeeper");
  return {};
}

// `written`: how its control file came to be.
Result<std::shared_ptr<Timeline>> Timelines::made(Task& task, const TenantTimelineId& id, Status written) {
  if (written.is(Code::Io) || written.is(Code::MaybeApplied)) {
    env_.probe("safekeeper.creation-undecided"_probe);
    broken_.emplace(id, written.error());
  }
  TRY(std::move(written).with("create timeline " + to_string(id)));
  removed_.erase(id);
  // It exists from here on, so it must not be unknown either: nobody could make or use it before a restart.
  auto control = read_control(task, env_.disk(), directory(id));
  if (!control.ok()) {
    broken_.emplace(id, control.error());
    return control.error();
  }
  std::shared_ptr<Timeline> timeline =
      Timeline::asleep_at(env_, scope_, config_, store_, directory(id), *std::move(control));
  timelines_[id] = timeline;
  TRY_ASSIGN(timeline, use(task, id));
  TRY(timeline->failure());
  log_.info("created timeline {} with {}, WAL up to {}", to_string(id),
            to_string(timeline->state().configuration), to_string(timeline->position().position.flush));
  return timeline;
}

Result<std::shared_ptr<Timeline>> Timelines::install(Task& task, const TenantTimelineId& id,
                                                     const consensus::Configuration& configuration,
                                                     const Fill& fill) {
  {
    Lock lock;
    TRY(lock.acquire(task, mutex_));
    TRY(may_make(id, configuration));
    filling_.insert(id);
  }
  struct Filling {
    ~Filling() { ids.erase(id); }
    std::set<TenantTimelineId>& ids;
    TenantTimelineId id;
  } filling{filling_, id};
  TRY(claim(task, id));
  TRY(make_dirs(task, env_.disk(), directory(id)));
  auto filled = fill(task, directory(id));
  if (!filled.ok()) {
    // What was copied is of no use to the next attempt. What stays is found at the next start, and counts as
    // nothing.
    ignore_result(remove_segments(task, id));
    return filled.error();
  }
  TimelineControl control = *std::move(filled);
  CHECK(control.id == id && control.acceptor.configuration == configuration);
  control.acceptor.term = std::max(control.acceptor.term, former_term(id));
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  Uninterruptible whole(task);
  return made(task, id, write_control(task, env_.disk(), directory(id), control));
}

Status Timelines::claim(Task& task, const TenantTimelineId& id) {
  if (store_ == nullptr) return {};
  Deadline deadline(task, kStoreTimeout);
  Status claimed = claim_for_disk(task, *store_, id, config_.id, disk_);
  if (claimed.is(Code::Invalid)) env_.probe("safekeeper.lost-its-disk"_probe);
  return claimed;
}

Status Timelines::exclude(Task& task, const TenantTimelineId& id,
                          const consensus::Configuration& configuration) {
  TRY(configuration.validate());
  if (configuration.contains(config_.id))
    return Error(Code::Invalid, "safekeeper " + to_string(config_.id) + " is in " + to_string(configuration));
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (filling_.contains(id))
    return Error(Code::Unavailable, "timeline " + to_string(id) + " is being copied to this safekeeper");
  if (is_deleted(id)) return {};
  if (const consensus::Configuration* members = removed(id);
      members != nullptr && members->generation >= configuration.generation)
    return {};
  Uninterruptible whole(task);
  TimelineControl tombstone;
  if (auto found = timelines_.find(id); found != timelines_.end()) {
    std::shared_ptr<Timeline> timeline = found->second;
    TRY(timeline->bury(task, configuration));
    tombstone = timeline->control();
    leaving_[id] = std::move(timeline);
    timelines_.erase(id);
  } else {
    if (auto why = broken_.find(id); why != broken_.end()) return why->second;
    if (auto older = removed_.find(id); older != removed_.end()) tombstone = older->second;
    tombstone.id = id;
    tombstone.acceptor.configuration = configuration;
    TRY(make_dirs(task, env_.disk(), directory(id)));
    Status written = write_control(task, env_.disk(), directory(id), tombstone);
    if (!written.ok()) broken_.emplace(id, written.error());
    TRY(written);
    leaving_.try_emplace(id);
  }
  env_.probe("safekeeper.excluded"_probe);
  log_.info("removed timeline {}: its members are {}", to_string(id), to_string(configuration));
  removed_[id] = std::move(tombstone);
  return {};
}

Status Timelines::remove_segments(Task& task, const TenantTimelineId& id) {
  TRY_ASSIGN(std::vector<DirEntry> entries, env_.disk().list(task, directory(id)));
  for (const DirEntry& entry : entries)
    if (entry.name != kControlFileName) TRY(env_.disk().unlink(task, join_path(directory(id), entry.name)));
  return env_.disk().sync_dir(task, directory(id));
}

// False while connections are there still.
Result<bool> Timelines::close_leaving(Task& task, const TenantTimelineId& id) {
  std::shared_ptr<Timeline> timeline = leaving_.at(id);
  if (timeline != nullptr) {
    if (timeline->proposers() + timeline->readers() > 0) return false;
    TRY(timeline->stop(task, false));
    leaving_[id] = nullptr;
  }
  TRY(remove_segments(task, id));
  return true;
}

Status Timelines::clear_away(Task& task, const TenantTimelineId& id) {
  std::vector<std::string> own;  // objects that nobody else would remove
  {
    Lock lock;
    TRY(lock.acquire(task, mutex_));
    if (!leaving_.contains(id)) return {};
    TRY_ASSIGN(bool closed, close_leaving(task, id));
    if (!closed) return {};
    own.push_back(disk_claim_key(id, config_.id));
    const TimelineControl& tombstone = removed_.at(id);
    for (const PartialUpload& partial : {tombstone.partial, tombstone.partial_previous})
      if (!partial.key.empty()) own.push_back(partial.key);
  }
  // While it is leaving nobody makes it here again.
  if (store_ != nullptr) {
    Deadline deadline(task, kStoreTimeout);
    TRY(store_->remove(task, own));
  }
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  auto removed = removed_.find(id);
  if (removed == removed_.end()) return {};  // it was deleted meanwhile
  if (TimelineControl& tombstone = removed->second; own.size() > 1) {
    tombstone.partial = tombstone.partial_previous = {};
    Uninterruptible whole(task);
    TRY(write_control(task, env_.disk(), directory(id), tombstone));
  }
  leaving_.erase(id);
  return {};
}

Status Timelines::stop(Task& task) {
  for (auto& [id, timeline] : leaving_)
    if (timeline != nullptr) ignore_result(timeline->stop(task, false));  // there is nothing to save
  for (auto& [what, clearing] : deleted_)
    for (auto& timeline : clearing.timelines) ignore_result(timeline->stop(task, false));
  for (auto& [id, timeline] : timelines_)
    if (Status stopped = timeline->stop(task, true); !stopped.ok())
      log_.warn("stop timeline {}: {}", to_string(id), stopped.error().to_string());
  return {};
}

void Timelines::manage(Task& task) {
  clear_all_deleted(task);
  std::vector<TenantTimelineId> leaving;
  for (const auto& [id, timeline] : leaving_) leaving.push_back(id);
  for (const TenantTimelineId& id : leaving)
    if (Status gone = clear_away(task, id); !gone.ok() && !gone.is(Code::Cancelled))
      log_.warn("clear away timeline {}: {}", to_string(id), gone.error().to_string());
  for (const TenantTimelineId& id : ids()) {
    auto found = timelines_.find(id);
    if (found == timelines_.end() || task.cancelled()) continue;
    std::shared_ptr<Timeline> timeline = found->second;
    if (timeline->active()) timeline->manage(task);
    if (Status slept = timeline->sleep_if_idle(task); !slept.ok() && !slept.is(Code::Cancelled))
      log_.warn("close timeline {}: {}", to_string(id), slept.error().to_string());
  }
}

Status Timelines::needs_restart() const {
  for (const auto& [id, timeline] : timelines_)
    if (timeline->needs_restart()) return timeline->failure();
  for (const auto& [id, why] : broken_)
    if (why.code() != Code::Corrupt && why.code() != Code::Unsupported) return why;
  return {};
}

std::vector<TenantTimelineId> Timelines::ids() const {
  std::vector<TenantTimelineId> all;
  for (const auto& [id, timeline] : timelines_) all.push_back(id);
  return all;
}

}  // namespace argon::safekeeper
