// Tenants: which of them are here, and how (location.h).
//
// A change is durable before it is in force where it takes something on, and in force before it is answered.
// Attaching claims a generation first: whatever happens after that, nobody of a lower one damages anything,
// and the next start finds the claim. What is given up is given up by a claim, too, where nobody else has
// made one.

#include <algorithm>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/pageserver/tenants.h"

namespace argon::pageserver {

namespace {

constexpr Duration kLookForEnd = Duration::milliseconds(50);
constexpr int kLooks = 40;

std::string name_of(const TenantId& id) {
  return "tenant " + to_string(id);
}

}  // namespace

std::string Tenants::location_file(const TenantId& id) const {
  return join_path(tenant_folder(id), "location");
}

Location Tenants::location(const TenantId& id) const {
  if (auto attached = tenants_.find(id); attached != tenants_.end())
    return {attached->second.gc->mode, attached->second.generation, attached->second.asked};
  auto secondary = secondary_.find(id);
  return secondary == secondary_.end() ? Location() : secondary->second;
}

std::map<TenantId, Location> Tenants::locations() const {
  std::map<TenantId, Location> all = secondary_;
  for (const auto& [id, tenant] : tenants_) all[id] = location(id);
  return all;
}

Status Tenants::check_changeable(const TenantId& id) const {
  auto tenant = tenants_.find(id);
  if (tenant == tenants_.end() || may_upload(tenant->second.gc->mode)) return {};
  return Error(Code::Stale, name_of(id) +
                                ": this location is AttachedStale, nothing is changed here; the tenant moves "
                                "to another pageserver");
}

// ---- What a start finds

Status Tenants::write_location(Task& task, const TenantId& id, const Location& location) {
  Disk& disk = services_.env.disk();
  std::string path = location_file(id);
  if (location.mode != LocationMode::Detached) {
    TRY(make_dirs(task, disk, tenant_folder(id)));
    return write_file_durably(task, disk, path, encode_location(location)).with("write " + path);
  }
  Status gone = disk.unlink(task, path);
  if (gone.is(Code::NotFound)) return {};
  TRY(gone);
  return disk.sync_dir(task, tenant_folder(id));
}

// Detached: there is no file, or none that can be read, as on a disk that was lost.
Result<Location> Tenants::read_location(Task& task, const TenantId& id) {
  std::string path = location_file(id);
  auto bytes = read_file(task, services_.env.disk(), path, 4096);
  if (bytes.is(Code::NotFound)) return Location();
  if (!bytes.ok()) return bytes.error().with("read " + path);
  auto location = decode_location(*bytes, path);
  if (!location.is(Code::Corrupt)) return location;
  Logger(services_.env.log()).warn("{}; what the claims say counts", location.error().message());
  return Location();
}

Result<Location> Tenants::location_at_start(Task& task, const TenantId& id, Generation newest) {
  TRY_ASSIGN(Location here, read_location(task, id));
  if (here.mode != LocationMode::Detached && here.generation == newest) return here;
  Claim last;
  if (newest != Generation()) {
    TRY_ASSIGN(last, read_claim(task, services_.objects, id, newest));
  }
  if (last.pageserver == services_.node) return Location{last.mode, newest, last.asked};
  // Of a time when claims did not say whose they are there was one pageserver.
  bool unknown = last.pageserver == NodeId();
  if (unknown && here.mode == LocationMode::Detached)
    return Location{LocationMode::AttachedSingle, newest, {}};
  bool goes_on = here.mode == LocationMode::AttachedStale || here.mode == LocationMode::Secondary;
  if (goes_on) return here;
  services_.env.probe("pageserver.tenant-is-elsewhere"_probe);
  Logger(services_.env.log())
      .with("tenant", to_string(id))
      .info("is attached to pageserver {}, generation {}", last.pageserver.value, newest.value);
  return Location();
}

// ---- Changes

Result<Location> Tenants::set_location(Task& task, const TenantId& id, const LocationWish& wish) {
  std::vector<std::shared_ptr<Timeline>> timelines;
  if (auto tenant = tenants_.find(id); tenant != tenants_.end())
    for (const auto& [timeline_id, timeline] : tenant->second.timelines) timelines.push_back(timeline);
  if (wish.mode == LocationMode::AttachedStale) {
    Deadline deadline(task, wish.flush);
    for (const std::shared_ptr<Timeline>& timeline : timelines) {
      Status flushed = timeline->checkpoint(task);
      if (flushed.is(Code::Cancelled)) return flushed.error();
    }
  }
  auto change = [&]() -> Result<Location> {
    Lock lock;
    TRY(lock.acquire(task, changing_));
    if (wish.mode == LocationMode::AttachedStale) return make_stale(task, id, wish);
    return is_attached(wish.mode) ? attach_here(task, id, wish) : stop_serving(task, id, wish.mode);
  };
  TRY_ASSIGN(Location now, change());
  Logger(services_.env.log())
      .with("tenant", to_string(id))
      .info("location is {}, generation {}", to_string(now.mode), now.generation.value);
  if (!may_upload(now.mode))
    for (const std::shared_ptr<Timeline>& timeline : timelines) TRY(timeline->uploads_ended(task));
  if (!may_delete(now.mode)) TRY(services_.deletions.removals_ended(task));
  timelines.clear();
  auto of_tenant = [&id](const auto& entry) { return entry.first.tenant == id; };
  auto on_its_way = [&] { return departed_.contains(id) || std::ranges::any_of(pending_, of_tenant); };
  for (int i = 0; i < kLooks && on_its_way(); i++) {
    TRY(task.sleep(kLookForEnd));
    TRY(attach_pending(task));
  }
  return now;
}

void Tenants::apply_mode(const TenantId& id, LocationMode mode) {
  Tenant& tenant = tenants_.at(id);
  tenant.gc->mode = mode;
  if (may_delete(mode))
    services_.deletions.let_go_on(id);
  else
    services_.deletions.hold(id);
  tenant.gc->changed.notify_all();
  for (const auto& [timeline_id, timeline] : tenant.timelines) timeline->store().work().notify_all();
}

Status Tenants::change_mode(Task& task, const TenantId& id, LocationMode mode) {
  Tenant& tenant = tenants_.at(id);
  if (tenant.gc->mode == mode) return {};
  TRY(write_location(task, id, {mode, tenant.generation, tenant.asked}));
  apply_mode(id, mode);
  return {};
}

Result<Location> Tenants::make_stale(Task& task, const TenantId& id, const LocationWish& wish) {
  auto found = tenants_.find(id);
  if (found == tenants_.end())
    return Error(Code::AlreadyExists, name_of(id) + " is not attached here, so it cannot be AttachedStale");
  const Tenant& tenant = found->second;
  if (wish.generation && *wish.generation != tenant.generation && *wish.generation != tenant.asked)
    return Error(Code::AlreadyExists, name_of(id) + " is attached here with generation " +
                                          std::to_string(tenant.generation.value) + ", not " +
                                          std::to_string(wish.generation->value));
  TRY(change_mode(task, id, LocationMode::AttachedStale));
  return location(id);
}

// With the newest generation, if it was claimed by this life and no other is asked for; else with a new one.
Result<Location> Tenants::attach_here(Task& task, const TenantId& id, const LocationWish& wish) {
  TRY(check_not_marked({id, {}}));
  TRY_ASSIGN(std::optional<NewestClaim> newest, newest_claim(task, services_.objects, id));
  Generation highest = newest ? newest->generation : Generation();
  auto found = tenants_.find(id);
  if (found != tenants_.end()) {
    Tenant& tenant = found->second;
    bool meant =
        !wish.generation || *wish.generation == tenant.generation || *wish.generation == tenant.asked;
    if (meant && tenant.claimed_now && highest == tenant.generation) {
      TRY(change_mode(task, id, wish.mode));
      return location(id);
    }
  }
  bool ours = newest && newest->claim.pageserver == services_.node && newest->claim.life == life_;
  bool used = found != tenants_.end() && found->second.generation == highest;
  if (wish.generation && *wish.generation <= highest && !(*wish.generation == highest && ours && !used))
    return Error(Code::AlreadyExists, name_of(id) + " cannot be attached with generation " +
                                          std::to_string(wish.generation->value) + ": " +
                                          std::to_string(highest.value) + " was claimed, by pageserver " +
                                          std::to_string(newest->claim.pageserver.value));
  TRY_ASSIGN(RemoteTenant listed, list_tenant(task, services_.objects, id));
  if (listed.is_deleted()) return Error(Code::AlreadyExists, name_of(id) + " was deleted");
  Location wanted{wish.mode, {}, wish.generation.value_or(Generation())};
  // From here on others see that the tenant is ours; what is here of an older generation goes.
  Claim ours_now = claim(wish.mode, wanted.asked);
  if (wish.generation) {
    TRY(claim_exactly(task, services_.objects, id, *wish.generation, ours_now));
    wanted.generation = *wish.generation;
  } else {
    TRY_ASSIGN(wanted.generation, claim_generation(task, services_.objects, id, highest, ours_now));
  }
  TRY_ASSIGN(RemoteTenant now, list_tenant(task, services_.objects, id));
  if (now.newest > wanted.generation)
    return Error(Code::AlreadyExists,
                 name_of(id) + ": generation " + std::to_string(now.newest.value) + " was claimed meanwhile");
  TRY(secondaries_.remove(task, id));
  let_go(id);
  bool was_secondary = secondary_.erase(id) > 0;
  departed_.erase(id);
  if (now.is_deleted()) {
    TRY(delete_claimed(task, id, wanted.generation));
    return Error(Code::AlreadyExists, name_of(id) + " was deleted");
  }
  TRY(attach_listed(task, id, wanted, now));
  tenants_.at(id).was_secondary = was_secondary;
  services_.env.probe("pageserver.attached-anew"_probe);
  TRY(load_pending(task));
  return location(id);
}

// Where the newest claim says that it is attached here, another one says that it is not.
Status Tenants::give_up_claim(Task& task, const TenantId& id, Location& location) {
  TRY_ASSIGN(std::optional<NewestClaim> newest, newest_claim(task, services_.objects, id));
  if (!newest) return {};
  location.generation = newest->generation;
  auto attached = tenants_.find(id);
  bool ours = newest->claim.pageserver == services_.node ||
              (attached != tenants_.end() && attached->second.generation == newest->generation);
  if (!ours || newest->claim.mode == location.mode) return {};
  auto given_up = claim_generation(task, services_.objects, id, newest->generation, claim(location.mode, {}));
  if (given_up.is(Code::AlreadyExists)) return {};  // somebody else has it by now
  TRY_ASSIGN(location.generation, std::move(given_up));
  return {};
}

Result<Location> Tenants::stop_serving(Task& task, const TenantId& id, LocationMode mode) {
  bool attached = tenants_.contains(id);
  if (!attached && location(id).mode == mode) return location(id);
  if (mode == LocationMode::Secondary) TRY(check_not_marked({id, {}}));
  Location wanted{mode, {}, {}};
  if (!attached && mode == LocationMode::Secondary) {
    TRY_ASSIGN(RemoteTenant listed, list_tenant(task, services_.objects, id));
    if (listed.is_deleted() || listed.newest == Generation())
      return Error(Code::NotFound, name_of(id) + (listed.is_deleted() ? " was deleted" : " does not exist"));
  }
  if (!deletions_.marked({id, {}})) TRY(give_up_claim(task, id, wanted));
  TRY(write_location(task, id, wanted));
  TRY(secondaries_.remove(task, id));
  let_go(id);
  secondary_.erase(id);
  if (mode == LocationMode::Secondary) secondary_[id] = wanted;
  departed_[id] = mode;
  services_.env.probe("pageserver.tenant-given-up"_probe);
  return wanted;
}

// ---- Out of use

void Tenants::let_go(const TenantId& id) {
  services_.deletions.let_go_on(id);  // of a lower generation than the newest: dropped
  if (!tenants_.contains(id)) return;
  std::vector<std::shared_ptr<Timeline>> out = take_out({id, {}});
  for (const std::shared_ptr<Timeline>& timeline : out) {
    timeline->retire();
    outgoing_[timeline->id()] = {timeline, 0};
  }
}

bool Tenants::any_in_use(const TenantId& id) const {
  return std::ranges::any_of(
      outgoing_, [&id](const auto& one) { return one.first.tenant == id && one.second.timeline != nullptr; });
}

Status Tenants::clear_departed(Task& task) {
  for (const TenantId& id : secondaries_.deleted()) {
    auto gone = stop_serving(task, id, LocationMode::Detached);
    if (gone.is(Code::Cancelled)) return gone.error();
    if (!gone.ok())
      Logger(services_.env.log()).warn("the copy of a deleted tenant: {}", gone.error().to_string());
  }
  release_outgoing();
  Disk& disk = services_.env.disk();
  for (auto at = departed_.begin(); at != departed_.end();) {
    const auto [id, mode] = *at;
    auto clear = [&, id = id, mode = mode]() -> Status {
      if (mode == LocationMode::Detached) return remove_tree(task, disk, tenant_folder(id));
      // Layers stay; what names them is of a time that is over.
      std::string folder = join_path(tenant_folder(id), "timelines");
      auto entries = disk.list(task, folder);
      if (entries.is(Code::NotFound)) return {};
      TRY(entries);
      for (const DirEntry& entry : *entries)
        TRY(LayerStore::remove_index(task, disk, join_path(folder, entry.name)));
      return {};
    };
    if (any_in_use(id)) {
      ++at;
      continue;
    }
    Status cleared = clear();
    if (cleared.is(Code::Cancelled)) return cleared;
    if (!cleared.ok()) {
      Logger(services_.env.log())
          .with("tenant", to_string(id))
          .warn("files of a tenant that is not served any more, will try again: {}",
                cleared.error().to_string());
      ++at;
      continue;
    }
    std::erase_if(outgoing_, [id = id](const auto& one) { return one.first.tenant == id; });
    if (mode == LocationMode::Secondary) secondaries_.add(id);
    at = departed_.erase(at);
  }
  return {};
}

}  // namespace argon::pageserver
