#include "core/pageserver/tenants.h"

#include <algorithm>
#include <tuple>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/pg/wal_page.h"

namespace argon::pageserver {

namespace {

constexpr Duration kBranchWait = Duration::seconds(5);
constexpr size_t kAttachedAtOnce = 16;

std::pair<Generation, uint64_t> order_of(const TimelineIndex& index) {
  return {index.generation, index.sequence};
}

// Not so, though it is newer, where the object store's came late, from a life before the one that wrote it:
// then that may reach further, or be of another creation.
bool goes_on_from(const TimelineIndex& local, const TimelineIndex& remote) {
  auto history = [](const TimelineIndex& index) {
    return std::tuple(index.id, index.ancestor, index.ancestor_lsn, index.start_lsn, index.system_id);
  };
  return history(local) == history(remote) && order_of(local) > order_of(remote) &&
         local.disk_consistent >= remote.disk_consistent;
}

// Where a branch can begin: a record's start, or a page boundary.
Lsn branch_point(Lsn lsn) {
  lsn = Lsn(lsn.value & ~uint64_t{7});
  return pg::page_offset(lsn) < pg::page_header_size(lsn) ? pg::page_start(lsn) : lsn;
}

}  // namespace

std::string Tenants::folder_of(const TenantTimelineId& id) const {
  return folder_ + "/tenants/" + to_string(id.tenant) + "/timelines/" + to_string(id.timeline);
}

Result<const Tenants::Tenant*> Tenants::find(const TenantId& id) const {
  auto found = tenants_.find(id);
  if (found != tenants_.end()) return &found->second;
  std::string how = deletions_.marked({id, {}}) ? " was deleted"
                    : secondary_.contains(id)   ? " has a secondary location here, which serves nothing"
                                                : " does not exist here";
  return Error(Code::NotFound, "tenant " + to_string(id) + how);
}

Result<std::shared_ptr<Timeline>> Tenants::find(const TenantTimelineId& id) const {
  TRY_ASSIGN(const Tenant* tenant, find(id.tenant));
  auto timeline = tenant->timelines.find(id.timeline);
  if (pending_.contains(id))
    return Error(Code::Unavailable, "timeline " + to_string(id) + " is not loaded yet; the log says why");
  if (auto damaged = damaged_.find(id); damaged != damaged_.end())
    return damaged->second.with("timeline " + to_string(id) + " cannot be loaded");
  if (archived_.contains(id))
    return Error(Code::Stale,
                 "timeline " + to_string(id) + " is archived; `argon timeline unarchive` brings it back");
  if (timeline == tenant->timelines.end())
    return Error(Code::NotFound,
                 "timeline " + to_string(id.timeline) + " of tenant " + to_string(id.tenant) +
                     (deletions_.marked({id.tenant, id.timeline}) ? " was deleted" : " does not exist here"));
  return timeline->second;
}

std::shared_ptr<Timeline> Tenants::make(const TenantTimelineId& id, std::shared_ptr<Timeline> ancestor) {
  return std::make_shared<Timeline>(services_, options_, id, folder_of(id), std::move(ancestor),
                                    tenants_.at(id.tenant).extensions, tenants_.at(id.tenant).gc);
}

void Tenants::add(const TenantId& id, const Location& location) {
  Tenant& tenant = tenants_[id];
  tenant.generation = location.generation;
  tenant.asked = location.asked;
  tenant.extensions =
      std::make_shared<ExtensionRedo>(services_.env, services_.redo_process, services_.metrics);
  tenant.gc->settings = GcSettings();
  apply_mode(id, location.mode);
}

Status Tenants::begin(Task& task, std::shared_ptr<Timeline> timeline) {
  TenantTimelineId id = timeline->id();
  undecided_[id] = timeline;
  TRY(timeline->upload(task));
  undecided_.erase(id);
  tenants_[id.tenant].timelines[id.timeline] = timeline;
  started_(timeline);
  return {};
}

// Nothing else may be made under the id of a creation whose end is not known: the first one's index, carried
// out late, would take its place.
Status Tenants::finish_creation(Task& task, const TenantTimelineId& id) {
  auto found = undecided_.find(id);
  if (found == undecided_.end()) return {};
  services_.env.probe("pageserver.creation-finished-later"_probe);
  return begin(task, found->second).with("finish an earlier creation of timeline " + to_string(id));
}

Status Tenants::make_room(Task& task) {
  if (undecided_.size() < kUndecidedMax) return {};
  std::vector<std::shared_ptr<Timeline>> begun;
  for (const auto& [id, timeline] : undecided_) begun.push_back(timeline);
  Status last;
  for (const std::shared_ptr<Timeline>& timeline : begun) {
    last = begin(task, timeline);
    if (last.ok() || last.is(Code::Cancelled)) return last;
  }
  return Error(Code::Unavailable,
               std::to_string(undecided_.size()) +
                   " creations of timelines could not be finished, no other is begun before one "
                   "is: " +
                   last.error().message());
}

// ---- Attaching

Status Tenants::attach_all(Task& task) {
  TRY_ASSIGN(auto found, list_tenants(task, services_.objects));
  for (const auto& [tenant, remote] : found) TRY(attach_tenant(task, tenant, remote));
  return attach_pending(task);
}

Status Tenants::attach_tenant(Task& task, const TenantId& tenant, const RemoteTenant& remote) {
  if (remote.is_deleted()) {
    deletions_.begin({tenant, {}}, {});
    return {};
  }
  TRY_ASSIGN(Location location, location_at_start(task, tenant, remote.newest));
  if (location.mode == LocationMode::AttachedStale) {
    TRY_ASSIGN(RemoteTenant listed, list_tenant(task, services_.objects, tenant));
    return attach_listed(task, tenant, location, listed);
  }
  if (is_attached(location.mode)) return attach_anew(task, tenant, location, remote.newest);
  TRY_ASSIGN(Location here, read_location(task, tenant));
  if (here != location) TRY(write_location(task, tenant, location));
  if (location.mode == LocationMode::Secondary) secondary_[tenant] = location;
  departed_[tenant] = location.mode;
  return {};
}

Status Tenants::attach_anew(Task& task, const TenantId& tenant, Location location, Generation newest) {
  auto claimed =
      claim_generation(task, services_.objects, tenant, newest, claim(location.mode, location.asked));
  if (claimed.is(Code::AlreadyExists)) {
    // Somebody has taken it over since it was listed.
    TRY_ASSIGN(RemoteTenant listed, list_tenant(task, services_.objects, tenant));
    return attach_tenant(task, tenant, listed);
  }
  TRY_ASSIGN(location.generation, std::move(claimed));
  // What an earlier life did until it could see the claim counts.
  TRY_ASSIGN(RemoteTenant now, list_tenant(task, services_.objects, tenant));
  if (now.is_deleted()) return delete_claimed(task, tenant, location.generation);
  return attach_listed(task, tenant, location, now);
}

Status Tenants::attach_listed(Task& task, const TenantId& tenant, const Location& location,
                              const RemoteTenant& now) {
  // Where the newest claim says it all, a file would only be in the way.
  bool as_claimed = location.mode != LocationMode::AttachedStale;
  TRY(write_location(task, tenant, as_claimed ? Location() : location));
  add(tenant, location);
  tenants_.at(tenant).claimed_now = as_claimed;
  for (const auto& [timeline, mark] : now.timeline_marks)
    if (now.is_deleted(timeline) && as_claimed)
      deletions_.begin({tenant, timeline}, {});
    else if (now.is_deleted(timeline))
      deletions_.note({tenant, timeline});
  if (!now.newest_config.empty()) {
    pending_configs_.emplace(tenant, now.newest_config);
    set_config(tenants_.at(tenant), Error(Code::Unavailable, "the tenant's configuration is not read yet"),
               now.newest_config);
  }
  for (const auto& [timeline, key] : now.newest_index)
    if (!now.is_deleted(timeline)) pending_.emplace(TenantTimelineId{tenant, timeline}, key);
  return {};
}

// The mark came between the listing and the claim, below which it counts no more: so there must be another
// one.
Status Tenants::delete_claimed(Task& task, const TenantId& tenant, Generation generation) {
  for (;;) {
    Status marked = deletions_.mark(task, {tenant, {}}, generation);
    if (marked.is(Code::Cancelled)) return marked;
    if (marked.ok()) break;
    Logger(services_.env.log()).warn("will try again: {}", marked.error().to_string());
    TRY(task.sleep(options_.retry_delay));
  }
  deletions_.begin({tenant, {}}, {});
  return {};
}

bool Tenants::pending() const {
  return !pending_.empty() || !pending_configs_.empty() || !departed_.empty() ||
         !secondaries_.deleted().empty() ||
         std::ranges::any_of(archived_, [](const auto& one) { return one.second.files_left; });
}

// Each round loads those whose ancestor is loaded; it ends when a round loads none.
Status Tenants::attach_pending(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, changing_));
  return load_pending(task);
}

Status Tenants::load_pending(Task& task) {
  TRY(read_configs(task));
  release_outgoing();
  Indexes indexes;
  for (bool progress = true; progress;) {
    progress = false;
    std::vector<TenantTimelineId> round;
    for (const auto& [id, key] : pending_)
      if (!still_in_use(id)) round.push_back(id);
    size_t next = 0;
    Scope scope(task);
    for (size_t i = 0; i < std::min(kAttachedAtOnce, round.size()); i++)
      scope.spawn("attach", [&](Task& t) -> Status {
        while (next < round.size()) {
          TRY_ASSIGN(bool loaded, try_attach(t, round[next++], indexes));
          progress = progress || loaded;
        }
        return {};
      });
    TRY(scope.join(task));
  }
  TRY(clear_archived(task));
  TRY(clear_departed(task));
  hold_for_archived();
  note_loaded();
  return {};
}

// Error: Cancelled.
Result<bool> Tenants::try_attach(Task& task, const TenantTimelineId& id, Indexes& indexes) {
  std::string key = pending_.at(id);
  Status loaded = attach_timeline(task, id, key, indexes);
  if (loaded.is(Code::Cancelled)) return loaded.error();
  bool for_good = loaded.is(Code::Corrupt) || loaded.is(Code::Unsupported);
  if (!loaded.ok() && !loaded.is(Code::NotFound))
    Logger(services_.env.log())
        .with("tenant", to_string(id.tenant))
        .with("timeline", to_string(id.timeline))
        .error("cannot be loaded{}: {}", for_good ? "" : " yet", loaded.error().to_string());
  if (for_good) damaged_.emplace(id, loaded.error());
  if (loaded.ok() || for_good) pending_.erase(id);
  return loaded.ok();
}

void Tenants::note_loaded() {
  for (auto& [id, tenant] : tenants_) {
    auto of_tenant = [&id](const auto& entry) { return entry.first.tenant == id; };
    tenant.gc->all_loaded =
        std::ranges::none_of(pending_, of_tenant) && std::ranges::none_of(damaged_, of_tenant);
    tenant.gc->changed.notify_all();
  }
}

Status Tenants::attach_timeline(Task& task, const TenantTimelineId& id, const std::string& key,
                                Indexes& indexes) {
  if (!indexes.contains(id)) {
    auto index = get_index(task, services_.objects, key, id);
    // It was there: else the timeline would be loaded no more, and nobody told.
    if (index.is(Code::NotFound)) return Error(Code::Unavailable, index.error().message());
    TRY_ASSIGN(indexes[id], std::move(index));
  }
  const TimelineIndex& index = indexes.at(id);
  Tenant& tenant = tenants_[id.tenant];
  // Its first index came late, after the ancestor was deleted: nobody was told that it exists.
  if (index.ancestor && deletions_.marked({id.tenant, *index.ancestor})) {
    services_.env.probe("pageserver.branch-of-a-deleted-timeline"_probe);
    unmarked_.insert({id.tenant, id.timeline});
    deletions_.wake();
  }
  bool archived = index.archived_at || (index.ancestor && is_archived({id.tenant, *index.ancestor}));
  if (archived && !archived_.contains(id)) {
    note_archived(index, key, false);
    return {};
  }
  if (index.ancestor && !tenant.timelines.contains(*index.ancestor))
    return Error(Code::NotFound, "its ancestor " + to_string(*index.ancestor) + " is not loaded");
  if (index.ancestor && was_never_made(*tenant.timelines.at(*index.ancestor), index)) return {};
  return load(task, id, index, key, tenant.generation);
}

// GC knew all branches that were told to be made. One whose branch point it did not retain is of an index
// that was put late, by a life whose end came before the answer.
bool Tenants::was_never_made(Timeline& ancestor, const TimelineIndex& branch) {
  Status readable = ancestor.check_readable(branch.ancestor_lsn);
  if (readable.ok()) return false;
  services_.env.probe("pageserver.late-branch-ignored"_probe);
  Logger(services_.env.log())
      .with("tenant", to_string(branch.id.tenant))
      .with("timeline", to_string(branch.id.timeline))
      .warn("its creation was never confirmed and came too late: {}", readable.error().message());
  return true;
}

// The local index, where it goes on from the object store's and all it names is there; else the latter.
Result<TimelineIndex> Tenants::choose_index(Task& task, const std::string& folder,
                                            const TimelineIndex& remote) {
  Disk& disk = services_.env.disk();
  auto local = LayerStore::read_index(task, disk, folder);
  if (local.is(Code::Cancelled)) return local.error();
  if (!local.ok()) return remote;
  std::set<LayerName> present;
  for (const TimelineIndex::Layer& layer : remote.layers) present.insert(layer.name);
  // Before what it names goes.
  auto take_remote = [&]() -> Result<TimelineIndex> {
    bool names_more =
        std::ranges::any_of(local->layers, [&](const auto& layer) { return !present.contains(layer.name); });
    if (names_more) TRY(LayerStore::remove_index(task, disk, folder));
    return remote;
  };
  if (!goes_on_from(*local, remote)) return take_remote();
  for (const TimelineIndex::Layer& layer : local->layers) {
    if (present.contains(layer.name)) continue;
    auto info = disk.stat(task, join_path(folder, to_string(layer.name)));
    if (info.is(Code::Cancelled)) return info.error();
    if (info.ok() && info->size == layer.size) continue;
    services_.env.probe("pageserver.local-index-incomplete"_probe);
    return take_remote();
  }
  services_.env.probe("pageserver.local-index-newer"_probe);
  return *local;
}

Status Tenants::load(Task& task, const TenantTimelineId& id, const TimelineIndex& remote,
                     const std::string& key, Generation generation) {
  std::string folder = folder_of(id);
  TRY(make_dirs(task, services_.env.disk(), folder));
  TRY_ASSIGN(TimelineIndex index, choose_index(task, folder, remote));
  Tenant& tenant = tenants_[id.tenant];
  std::shared_ptr<Timeline> ancestor = index.ancestor ? tenant.timelines.at(*index.ancestor) : nullptr;
  auto timeline = make(id, ancestor);
  if (ancestor) {
    TRY_ASSIGN(LsnHolds::Hold held, ancestor->hold(index.ancestor_lsn));
    timeline->set_branch_hold(std::move(held));
  }
  timeline->leases_were_lost();
  TRY(timeline->store().open(task, index));
  timeline->set_remote(remote, key);
  timeline->store().set_generation(generation);
  if (auto outgoing = outgoing_.find(id); outgoing != outgoing_.end()) {
    timeline->store().raise_sequence(outgoing->second.sequence);
    outgoing_.erase(outgoing);
  }
  tenant.timelines[id.timeline] = timeline;
  archived_.erase(id);
  timeline->log().info("attached at {}, generation {}, {} of {} bytes of layers are here",
                       to_string(index.disk_consistent), generation.value, timeline->store().resident_bytes(),
                       timeline->store().layer_bytes());
  if (tenant.was_secondary && timeline->store().resident_bytes() > 0)
    services_.env.probe("pageserver.warm-takeover"_probe);
  started_(timeline);
  return {};
}

// ---- Configuration

void Tenants::set_config(Tenant& tenant, const Result<TenantConfig>& config, const std::string& key) {
  tenant.config = config;
  tenant.config_key = key;
  if (config.ok())
    tenant.extensions->configure(config->redo_extensions);
  else
    tenant.extensions->configure(config.error());
  tenant.gc->settings = config.ok() ? std::optional(config->gc) : std::nullopt;
  tenant.gc->changed.notify_all();
}

// Timelines are served meanwhile: without it only records of extensions cannot be redone.
Status Tenants::read_configs(Task& task) {
  for (auto at = pending_configs_.begin(); at != pending_configs_.end();) {
    auto config = get_config(task, services_.objects, at->second);
    if (config.is(Code::Cancelled)) return config.error();
    bool for_good = config.ok() || config.is(Code::Corrupt) || config.is(Code::NotFound);
    if (for_good) set_config(tenants_.at(at->first), config, at->second);
    if (!config.ok())
      Logger(services_.env.log())
          .with("tenant", to_string(at->first))
          .error("its configuration cannot be read{}: {}", for_good ? "" : " yet",
                 config.error().to_string());
    at = for_good ? pending_configs_.erase(at) : std::next(at);
  }
  return {};
}

Status Tenants::configure(Task& task, const TenantId& id, const TenantConfig& config) {
  Lock lock;
  TRY(lock.acquire(task, changing_));
  TRY(find(id));
  TRY(check_changeable(id));
  Tenant& tenant = tenants_.at(id);
  std::string key = config_key(id, tenant.generation, ++tenant.config_sequence);
  TRY(services_.objects.put(task, key, as_bytes(to_json(config))).with("put " + key));
  pending_configs_.erase(id);
  std::vector<std::string> old;
  if (!tenant.config_key.empty()) old.push_back(tenant.config_key);
  set_config(tenant, config, key);
  services_.deletions.push(id, tenant.generation, old);
  return {};
}

// ---- Creating

Status Tenants::create_tenant(Task& task, const TenantId& tenant) {
  Lock lock;
  TRY(lock.acquire(task, changing_));
  TRY(check_not_marked({tenant, {}}));
  if (tenants_.contains(tenant)) return {};
  TRY_ASSIGN(std::optional<NewestClaim> newest, newest_claim(task, services_.objects, tenant));
  // One of this life is of an attempt that came to no end.
  if (newest && newest->claim.life != life_)
    return Error(Code::AlreadyExists, "tenant " + to_string(tenant) +
                                          " exists, and was last attached to pageserver " +
                                          std::to_string(newest->claim.pageserver.value) +
                                          "; PUT /v1/tenant/TENANT/location_config attaches it here");
  Location location{LocationMode::AttachedSingle, {}, {}};
  TRY_ASSIGN(location.generation,
             claim_generation(task, services_.objects, tenant, newest ? newest->generation : Generation(),
                              claim(location.mode, {})));
  add(tenant, location);
  tenants_.at(tenant).gc->all_loaded = true;
  return {};
}

Result<std::shared_ptr<Timeline>> Tenants::create_root(Task& task, const TenantTimelineId& id,
                                                       const std::string& data, uint64_t system_id) {
  TRY(create_tenant(task, id.tenant));
  Lock lock;
  TRY(lock.acquire(task, changing_));
  TRY(check_not_marked({id.tenant, id.timeline}));
  TRY(find(id.tenant));  // it may have been detached meanwhile
  TRY(check_changeable(id.tenant));
  TRY(finish_creation(task, id));
  if (auto known = find(id); !known.ok()) {
    if (!known.is(Code::NotFound)) return known.error();
  } else {
    if ((*known)->ancestor())
      return Error(Code::AlreadyExists, "timeline " + to_string(id) + " exists, as a branch");
    TRY((*known)->settle(task));
    return *known;
  }
  return import(task, id, data, system_id);
}

Result<std::shared_ptr<Timeline>> Tenants::import(Task& task, const TenantTimelineId& id,
                                                  const std::string& data, uint64_t system_id) {
  TRY(make_room(task));
  TRY_ASSIGN(Import imported, import_data_directory(task, services_.env.disk(), data, system_id));
  TimelineIndex index;
  index.id = id;
  index.generation = tenants_[id.tenant].generation;
  index.start_lsn = index.disk_consistent = imported.end;
  index.prev_record = imported.prev;
  index.system_id = imported.control.system_id;
  auto timeline = make(id, nullptr);
  // A former attempt may have left files; nothing names them.
  TRY(remove_tree(task, services_.env.disk(), timeline->store().folder()));
  TRY(timeline->store().create(task, index));
  TRY(timeline->store().write_images(task, imported.end, imported.entries));
  TRY(begin(task, timeline));
  timeline->log().info("created from {} at {}", data, to_string(imported.end));
  return timeline;
}

Result<std::shared_ptr<Timeline>> Tenants::branch(Task& task, const TenantTimelineId& id,
                                                  const TimelineId& ancestor, std::optional<Lsn> lsn) {
  TRY_ASSIGN(std::shared_ptr<Timeline> parent, find({id.tenant, ancestor}));
  if (lsn && *lsn > parent->last_record()) {
    // Its WAL may be on its way, as after a start.
    Deadline deadline(task, kBranchWait);
    Status waited = parent->store().last_record().wait_for(task, *lsn);
    if (!waited.ok() && !waited.is(Code::TimedOut)) return waited.error();
  }
  Lock lock;
  TRY(lock.acquire(task, changing_));
  TRY(check_not_marked({id.tenant, id.timeline}));
  TRY_ASSIGN(parent, find({id.tenant, ancestor}));  // it may have gone meanwhile
  TRY(check_changeable(id.tenant));
  TRY(finish_creation(task, id));
  if (auto known = find(id); !known.ok()) {
    if (!known.is(Code::NotFound)) return known.error();
  } else {
    bool same = (*known)->ancestor() == parent &&
                (!lsn || (*known)->store().index().ancestor_lsn == branch_point(*lsn));
    if (!same)
      return Error(Code::AlreadyExists, "timeline " + to_string(id) + " exists, with another history");
    services_.env.probe("pageserver.branch-found-done"_probe);
    TRY((*known)->settle(task));
    return *known;
  }
  if (unmarked_.contains({id.tenant, ancestor}))
    return Error(Code::Unavailable, "timeline " + to_string(parent->id()) + " may be deleted already");
  // A mark of its deletion that an earlier life has put, and that comes late, counts no more (deletion.h).
  TRY(parent->settle(task));
  Lsn at = branch_point(lsn.value_or(parent->last_record()));
  // So that no cutoff of an earlier life can come late; then what the hold promises is kept.
  TRY(parent->settle_at(task, at));
  TRY_ASSIGN(LsnHolds::Hold held, parent->hold(at));
  if (at > parent->last_record())
    return Error(Code::Invalid, "branch at " + to_string(at) + ": timeline " + to_string(ancestor) +
                                    " is only at " + to_string(parent->last_record()));
  if (at < parent->store().disk_consistent()) services_.env.probe("pageserver.branch-below-flushed"_probe);
  TRY(make_room(task));
  TimelineIndex index;
  index.id = id;
  index.generation = tenants_[id.tenant].generation;
  index.ancestor = ancestor;
  index.ancestor_lsn = index.start_lsn = index.disk_consistent = at;
  index.system_id = parent->store().index().system_id;
  auto timeline = make(id, parent);
  timeline->set_branch_hold(std::move(held));
  TRY(remove_tree(task, services_.env.disk(), timeline->store().folder()));
  TRY(timeline->store().create(task, index));
  TRY(begin(task, timeline));
  timeline->log().info("branched off {} at {}", to_string(ancestor), to_string(at));
  return timeline;
}

}  // namespace argon::pageserver
