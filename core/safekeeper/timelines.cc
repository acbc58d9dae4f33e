#include "core/safekeeper/timelines.h"

#include "core/env/io.h"
#include "core/env/points.h"

namespace argon::safekeeper {

Timelines::Timelines(Env& env, Scope& scope, const SafekeeperConfig& config, objstore::ObjectStore* store)
    : env_(env), scope_(scope), config_(config), store_(store), log_(env.log()) {}

std::string Timelines::directory(const TenantTimelineId& id) const {
  return join_path(join_path(config_.data_dir, to_string(id.tenant)), to_string(id.timeline));
}

Status Timelines::load(Task& task) {
  TRY(make_dirs(task, env_.disk(), config_.data_dir));
  TRY_ASSIGN(std::vector<DirEntry> tenants, env_.disk().list(task, config_.data_dir));
  for (const DirEntry& tenant : tenants) {
    auto tenant_id = parse_tenant_id(tenant.name);
    if (!tenant.is_directory || !tenant_id.ok()) continue;
    TRY_ASSIGN(std::vector<DirEntry> entries,
               env_.disk().list(task, join_path(config_.data_dir, tenant.name)));
    for (const DirEntry& entry : entries) {
      auto timeline_id = parse_timeline_id(entry.name);
      if (entry.is_directory && timeline_id.ok()) TRY(load_one(task, {*tenant_id, *timeline_id}));
    }
  }
  log_.info("opened {} timelines, {} could not be", timelines_.size(), broken_.size());
  return {};
}

Status Timelines::load_one(Task& task, const TenantTimelineId& id) {
  auto opened = Timeline::open(task, env_, scope_, config_, store_, directory(id));
  if (opened.is(Code::Cancelled)) return opened.error();
  if (opened.is(Code::NotFound)) {
    // A crash while it was made: there never was a control file, so nothing was promised.
    env_.probe("safekeeper.no-control-file"_probe);
    log_.warn("{} has no control file, ignored", directory(id));
    return {};
  }
  if (!opened.ok()) {
    log_.error("timeline {} is not served: {}", to_string(id), opened.error().to_string());
    broken_.emplace(id, opened.error());
    return {};
  }
  if ((*opened)->id() != id) {
    broken_.emplace(id,
                    Error(Code::Corrupt, "its control file is of timeline " + to_string((*opened)->id())));
    return (*opened)->stop(task, false);
  }
  timelines_[id] = *std::move(opened);
  return {};
}

Result<std::shared_ptr<Timeline>> Timelines::find(const TenantTimelineId& id) {
  if (auto found = timelines_.find(id); found != timelines_.end()) return found->second;
  if (auto why = broken_.find(id); why != broken_.end())
    return Error(Code::Unavailable,
                 "timeline " + to_string(id) + " is not served: " + why->second.to_string());
  return Error(Code::NotFound, "timeline " + to_string(id) + " is not on this safekeeper");
}

Result<std::shared_ptr<Timeline>> Timelines::create(Task& task, const TenantTimelineId& id,
                                                    const consensus::Configuration& configuration,
                                                    const consensus::ServerInfo& server, Lsn start) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (auto found = find(id); found.ok())
    return Error(Code::AlreadyExists, "timeline " + to_string(id) + " exists already");
  else if (!found.is(Code::NotFound))
    return found.error();
  TRY(configuration.validate());
  if (!configuration.contains(config_.id))
    return Error(Code::Invalid,
                 "safekeeper " + to_string(config_.id) + " is not in " + to_string(configuration));
  TimelineControl control;
  control.id = id;
  control.acceptor.configuration = configuration;
  control.acceptor.server = server;
  control.acceptor.timeline_start = start;
  Uninterruptible whole(task);
  Status made = Timeline::create(task, env_.disk(), directory(id), control);
  if (made.is(Code::Io) || made.is(Code::MaybeApplied)) {
    env_.probe("safekeeper.creation-undecided"_probe);
    broken_.emplace(id, made.error());
  }
  TRY(std::move(made).with("create timeline " + to_string(id)));
  auto opened = Timeline::open(task, env_, scope_, config_, store_, directory(id));
  // It exists from here on, so it must not be unknown either: nobody could make or use it before a restart.
  if (!opened.ok()) {
    broken_.emplace(id, opened.error());
    return opened.error();
  }
  std::shared_ptr<Timeline> timeline = *std::move(opened);
  log_.info("created timeline {} with {}", to_string(id), to_string(configuration));
  timelines_[id] = timeline;
  return timeline;
}

Status Timelines::remove(Task& task, const TenantTimelineId& id) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (auto found = timelines_.find(id); found != timelines_.end()) {
    if (found->second->proposers() + found->second->readers() > 0)
      return Error(Code::Unavailable, "timeline " + to_string(id) + " is in use");
    std::shared_ptr<Timeline> timeline = found->second;
    timelines_.erase(found);
    TRY(timeline->stop(task, false));
  }
  broken_.erase(id);
  // The control file first and durably: without it what is left is nothing at the next start.
  std::string control = join_path(directory(id), kControlFileName);
  Status gone = env_.disk().unlink(task, control);
  if (gone.is(Code::NotFound)) return {};
  TRY(gone);
  TRY(env_.disk().sync_dir(task, directory(id)));
  return remove_tree(task, env_.disk(), directory(id));
}

Status Timelines::stop(Task& task) {
  for (auto& [id, timeline] : timelines_)
    if (Status stopped = timeline->stop(task, true); !stopped.ok())
      log_.warn("stop timeline {}: {}", to_string(id), stopped.error().to_string());
  return {};
}

void Timelines::manage(Task& task) {
  for (const TenantTimelineId& id : ids()) {
    auto found = timelines_.find(id);
    if (found == timelines_.end() || task.cancelled()) continue;
    std::shared_ptr<Timeline> timeline = found->second;
    if (timeline->active()) timeline->manage(task);
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
