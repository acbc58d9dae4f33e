// Tenants: a branch becomes a root, and it and its branches are loaded anew.

#include <algorithm>

#include "core/pageserver/tenants.h"

namespace argon::pageserver {

namespace {

constexpr Duration kLookAgain = Duration::milliseconds(50);

bool descends_from(const Timeline& timeline, const TenantTimelineId& id) {
  for (const Timeline* at = &timeline; at != nullptr; at = at->ancestor().get())
    if (at->id() == id) return true;
  return false;
}

}  // namespace

Result<std::shared_ptr<Timeline>> Tenants::detach_ancestor(Task& task, const TenantTimelineId& id) {
  {
    TRY_ASSIGN(std::shared_ptr<Timeline> timeline, find(id));
    if (timeline->ancestor()) {
      Lock lock;
      auto detached = timeline->detach(task, [&](Task& t) -> Status {
        TRY(lock.acquire(t, changing_));
        return may_load_anew(t, timeline);
      });
      if (!detached.ok()) return detached.error().with("detach timeline " + to_string(id));
      load_anew(timeline);
      timeline->log().info("has no ancestor any more, and goes back to {} by itself",
                           to_string(detached->index.start_lsn));
    }
  }
  return load_now(task, id);
}

Result<std::shared_ptr<Timeline>> Tenants::load_now(Task& task, const TenantTimelineId& id) {
  while (pending_.contains(id)) {
    TRY(attach_pending(task));
    if (pending_.contains(id)) TRY(task.sleep(kLookAgain));
  }
  TRY_ASSIGN(std::shared_ptr<Timeline> loaded, find(id));
  TRY(loaded->settle(task));
  return loaded;
}

// A creation whose end is not known has an object that reads through this one.
Status Tenants::may_load_anew(Task& task, const std::shared_ptr<Timeline>& timeline) {
  TRY_ASSIGN(std::shared_ptr<Timeline> now, find(timeline->id()));
  if (now != timeline) return Error(Code::Unavailable, "it was loaded anew meanwhile");
  std::vector<TenantTimelineId> begun;
  for (const auto& [id, branch] : undecided_)
    if (descends_from(*branch, timeline->id())) begun.push_back(id);
  for (const TenantTimelineId& id : begun) TRY(finish_creation(task, id));
  return {};
}

// Does not suspend: from here on nobody finds those objects.
void Tenants::load_anew(const std::shared_ptr<Timeline>& timeline) {
  auto& timelines = tenants_.at(timeline->id().tenant).timelines;
  for (auto at = timelines.begin(); at != timelines.end();) {
    std::shared_ptr<Timeline> one = at->second;
    if (!descends_from(*one, timeline->id())) {
      ++at;
      continue;
    }
    pending_[one->id()] = one->remote().index_key();
    outgoing_[one->id()] = {one, 0, true};
    one->retire();
    at = timelines.erase(at);
  }
  hold_for_archived();
  note_loaded();
}

// Branches before what they are of, which they keep in use.
void Tenants::release_outgoing() {
  for (bool progress = true; progress;) {
    progress = false;
    for (auto& [id, outgoing] : outgoing_) {
      if (!outgoing.timeline || outgoing.timeline->lives() || outgoing.timeline.use_count() > 1) continue;
      outgoing.sequence = outgoing.timeline->store().index().sequence;
      // An upload that was under way may have put another index and removed the one it had then.
      if (auto pending = pending_.find(id); outgoing.from_its_index && pending != pending_.end())
        pending->second = outgoing.timeline->remote().index_key();
      outgoing.timeline.reset();
      progress = true;
    }
  }
}

bool Tenants::still_in_use(const TenantTimelineId& id) const {
  auto outgoing = outgoing_.find(id);
  return outgoing != outgoing_.end() && outgoing->second.timeline != nullptr;
}

}  // namespace argon::pageserver
