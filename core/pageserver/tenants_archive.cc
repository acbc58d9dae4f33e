// Tenants: timelines that are kept in the object store alone.
//
// That a timeline is archived is in its index, so what orders indexes orders this, too. A branch of an
// archived timeline is archived, whatever its own index says: that may have been put by somebody who got no
// answer.

#include <algorithm>

#include "core/env/points.h"
#include "core/pageserver/tenants.h"

namespace argon::pageserver {

namespace {

constexpr Duration kSaveTimeout = Duration::seconds(60);

}  // namespace

bool Tenants::is_archived(const TenantTimelineId& id) const {
  auto found = archived_.find(id);
  return found != archived_.end() && !found->second.returning;
}

std::vector<TimelineId> Tenants::archived_branches_of(const TenantTimelineId& id) const {
  std::vector<TimelineId> branches;
  for (const auto& [other, archived] : archived_)
    if (other.tenant == id.tenant && archived.index.ancestor == id.timeline)
      branches.push_back(other.timeline);
  return branches;
}

void Tenants::note_archived(const TimelineIndex& index, const std::string& key, bool settled) {
  Archived& archived = archived_[index.id];
  archived.index = index;
  archived.layers = index.layers.size();
  for (const TimelineIndex::Layer& layer : index.layers) archived.bytes += layer.size;
  archived.index.layers.clear();
  archived.key = key;
  archived.sequence = index.sequence;
  archived.settled = settled;
}

// ---- What it reads of others

// Of an archived ancestor nothing is removed; what is read through it belongs to one of its ancestors.
LsnHolds::Hold Tenants::hold_for(const TimelineIndex& index) {
  const auto& timelines = tenants_.at(index.id.tenant).timelines;
  Lsn lsn = index.ancestor_lsn;
  std::optional<TimelineId> at = index.ancestor;
  while (at) {
    if (auto loaded = timelines.find(*at); loaded != timelines.end()) {
      auto held = loaded->second->hold(lsn);
      if (held.ok()) return std::move(*held);
      loaded->second->log().error("its archived branch {} cannot be held: {}", to_string(index.id.timeline),
                                  held.error().to_string());
      return {};
    }
    auto archived = archived_.find({index.id.tenant, *at});
    bool own = archived == archived_.end() || lsn > archived->second.index.ancestor_lsn;
    if (own) return {};
    at = archived->second.index.ancestor;
  }
  return {};
}

void Tenants::hold_for_archived() {
  for (auto& [id, archived] : archived_) archived.hold = hold_for(archived.index);
}

// ---- There and back

Status Tenants::put_archived_at(Task& task, Archived& archived, std::optional<WallTime> at) {
  const TenantTimelineId id = archived.index.id;
  TRY_ASSIGN(TimelineIndex index, get_index(task, services_.objects, archived.key, id));
  index.generation = tenants_.at(id.tenant).generation;
  index.sequence = ++archived.sequence;
  index.archived_at = at;
  archived.settled = false;
  TRY_ASSIGN(std::string key, put_index(task, services_.objects, index));
  TRY(check_generation(task, services_.objects, id.tenant, index.generation));
  services_.deletions.push(id.tenant, index.generation, {archived.key});
  archived.key = key;
  archived.settled = true;
  archived.index = std::move(index);
  archived.index.layers.clear();
  return {};
}

Status Tenants::archive(Task& task, const TenantTimelineId& id) {
  if (auto timeline = find(id); timeline.ok()) {
    Deadline deadline(task, kSaveTimeout);
    TRY((*timeline)->checkpoint(task).with("archive timeline " + to_string(id)));
  }
  Lock lock;
  TRY(lock.acquire(task, changing_));
  TRY(check_changeable(id.tenant));
  if (is_archived(id)) {
    Archived& archived = archived_.at(id);
    if (archived.settled) return {};
    services_.env.probe("pageserver.archived-again"_probe);
    return put_archived_at(task, archived, archived.index.archived_at.value_or(task.env().wall_now()))
        .with("archive timeline " + to_string(id));
  }
  TRY_ASSIGN(std::shared_ptr<Timeline> timeline, find(id));
  TRY(may_load_anew(task, timeline));
  TRY_ASSIGN(std::vector<TimelineId> branches, branches_of(task, id));
  if (!branches.empty())
    return Error(Code::Stale, "timeline " + to_string(id) + " has branches, or may have: " +
                                  names_of(branches) + "; archive them first");
  TRY_ASSIGN(Timeline::Switched put, timeline->archive(task, task.env().wall_now()));
  // No suspension from here on: nobody finds it any more, and what it reads of ancestors stays held.
  note_archived(put.index, put.key, true);
  outgoing_[id] = {timeline, 0};
  timeline->retire();
  tenants_.at(id.tenant).timelines.erase(id.timeline);
  hold_for_archived();
  services_.env.probe("pageserver.archived"_probe);
  timeline->log().info("archived at {}", to_string(put.index.disk_consistent));
  return {};
}

Result<std::shared_ptr<Timeline>> Tenants::unarchive(Task& task, const TenantTimelineId& id) {
  {
    Lock lock;
    TRY(lock.acquire(task, changing_));
    TRY(check_changeable(id.tenant));
    if (is_archived(id)) {
      Archived& archived = archived_.at(id);
      const std::optional<TimelineId>& ancestor = archived.index.ancestor;
      if (ancestor && is_archived({id.tenant, *ancestor}))
        return Error(Code::Stale, "the ancestor " + to_string(*ancestor) + " of timeline " + to_string(id) +
                                      " is archived; bring that one back first");
      TRY(put_archived_at(task, archived, {}).with("bring timeline " + to_string(id) + " back"));
      archived.returning = true;
      pending_[id] = archived.key;
      note_loaded();
      services_.env.probe("pageserver.unarchived"_probe);
    }
  }
  return load_now(task, id);
}

Status Tenants::clear_archived(Task& task) {
  for (auto& [id, archived] : archived_) {
    if (!archived.files_left || archived.returning || still_in_use(id)) continue;
    Status cleared = LayerStore::remove_folder(task, services_.env.disk(), folder_of(id));
    if (cleared.is(Code::Cancelled)) return cleared;
    archived.files_left = !cleared.ok();
    if (!cleared.ok())
      Logger(services_.env.log())
          .with("tenant", to_string(id.tenant))
          .with("timeline", to_string(id.timeline))
          .warn("files of an archived timeline, will try again: {}", cleared.error().to_string());
  }
  return {};
}

}  // namespace argon::pageserver
