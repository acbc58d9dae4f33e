// Tenants: what is deleted, and how it goes out of use. What is left of it then is deletion.h's.

#include <algorithm>

#include "core/env/points.h"
#include "core/pageserver/tenants.h"

namespace argon::pageserver {

namespace {

constexpr Duration kIdle = Duration::seconds(3600);

}  // namespace

Status Tenants::check_not_marked(const DeletionTarget& target) const {
  if (!deletions_.marked(target)) return {};
  return Error(Code::AlreadyExists, to_string(target) + " was deleted, and ids are not used again");
}

// Of one that is not loaded only the index can tell. REQUIRES: changing_ is held.
Result<bool> Tenants::is_branch_of(Task& task, const TenantTimelineId& pending, const TimelineId& ancestor) {
  auto index = get_index(task, services_.objects, pending_.at(pending), pending);
  if (!index.ok())
    return index.error().with("timeline " + to_string(pending) +
                              " is not loaded yet, and may be a branch of it");
  return index->ancestor == ancestor;
}

Result<std::vector<TimelineId>> Tenants::branches_of(Task& task, const TenantTimelineId& id) {
  std::vector<TimelineId> branches;
  auto note = [&](const TenantTimelineId& other, const std::shared_ptr<Timeline>& timeline) {
    if (timeline->ancestor() && timeline->ancestor()->id() == id) branches.push_back(other.timeline);
  };
  for (const auto& [other, timeline] : tenants_.at(id.tenant).timelines) note({id.tenant, other}, timeline);
  for (const auto& [other, timeline] : undecided_) note(other, timeline);
  for (const auto& [other, key] : pending_) {
    if (other.tenant != id.tenant || other == id) continue;
    TRY_ASSIGN(bool branch, is_branch_of(task, other, id.timeline));
    if (branch) branches.push_back(other.timeline);
  }
  // What cannot be read does not tell. Of a damaged timeline itself no branch can be read.
  for (const auto& [other, why] : damaged_)
    if (other.tenant == id.tenant && !damaged_.contains(id)) branches.push_back(other.timeline);
  return branches;
}

std::string Tenants::names_of(const std::vector<TimelineId>& timelines) {
  std::string names;
  for (const TimelineId& timeline : timelines) names += (names.empty() ? "" : ", ") + to_string(timeline);
  return names;
}

Status Tenants::may_remove(Task& task, const DeletionTarget& target) {
  TRY(find(target.tenant));
  if (!target.timeline) return {};
  TenantTimelineId id{target.tenant, *target.timeline};
  if (auto found = find(id); found.is(Code::NotFound) && !undecided_.contains(id)) return found.error();
  TRY_ASSIGN(std::vector<TimelineId> branches, branches_of(task, id));
  for (const TimelineId& archived : archived_branches_of(id))
    if (std::ranges::find(branches, archived) == branches.end()) branches.push_back(archived);
  if (branches.empty()) return {};
  return Error(Code::Stale, to_string(target) + " has branches, or may have: " + names_of(branches) +
                                "; delete them first");
}

std::vector<std::shared_ptr<Timeline>> Tenants::take_out(const DeletionTarget& target) {
  auto concerns = [&](const TenantTimelineId& id) {
    return id.tenant == target.tenant && (!target.timeline || id.timeline == *target.timeline);
  };
  std::vector<std::shared_ptr<Timeline>> out;
  auto& timelines = tenants_.at(target.tenant).timelines;
  for (const auto& [timeline, one] : timelines)
    if (concerns({target.tenant, timeline})) out.push_back(one);
  for (const auto& [id, timeline] : undecided_)
    if (concerns(id)) out.push_back(timeline);
  std::erase_if(timelines, [&](const auto& one) { return concerns({target.tenant, one.first}); });
  for (const auto& [id, outgoing] : outgoing_)
    if (concerns(id) && outgoing.timeline) out.push_back(outgoing.timeline);
  std::erase_if(undecided_, [&](const auto& one) { return concerns(one.first); });
  std::erase_if(outgoing_, [&](const auto& one) { return concerns(one.first); });
  std::erase_if(pending_, [&](const auto& one) { return concerns(one.first); });
  std::erase_if(damaged_, [&](const auto& one) { return concerns(one.first); });
  std::erase_if(archived_, [&](const auto& one) { return concerns(one.first); });
  std::erase_if(unmarked_, [&](const DeletionTarget& one) {
    return one.timeline ? concerns({one.tenant, *one.timeline}) : one == target;
  });
  if (target.timeline) return out;
  pending_configs_.erase(target.tenant);
  tenants_.erase(target.tenant);
  return out;
}

Status Tenants::remove(Task& task, const DeletionTarget& target) {
  Lock lock;
  TRY(lock.acquire(task, changing_));
  if (deletions_.going_on(target)) return {};
  TRY(may_remove(task, target));
  if (LocationMode mode = tenants_.at(target.tenant).gc->mode; !may_delete(mode))
    return Error(Code::Stale, to_string(target) + ": this location is " + std::string(to_string(mode)) +
                                  ", the tenant moves; delete it once it is AttachedSingle somewhere");
  Status marked = deletions_.mark(task, target, tenants_.at(target.tenant).generation);
  if (!marked.ok()) {
    if (!marked.is(Code::Unavailable)) unmarked_.insert(target);
    deletions_.wake();
    return std::move(marked).with("delete " + to_string(target));
  }
  if (unmarked_.contains(target)) services_.env.probe("pageserver.deletion-marked-later"_probe);
  deletions_.begin(target, take_out(target));
  note_loaded();
  return {};
}

Status Tenants::run_deletions(Task& task) {
  while (!task.cancelled()) {
    std::set<DeletionTarget> again = unmarked_;
    for (const DeletionTarget& target : again) {
      Status marked = remove(task, target);
      if (marked.is(Code::Cancelled)) return marked;
      if (marked.is(Code::NotFound)) unmarked_.erase(target);
      if (!marked.ok()) Logger(services_.env.log()).warn("will try again: {}", marked.error().to_string());
    }
    TRY(deletions_.work(task));
    TRY(deletions_.wait(task, unmarked_.empty() ? kIdle : options_.retry_delay));
  }
  return {};
}

}  // namespace argon::pageserver
