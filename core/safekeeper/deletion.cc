// Timelines: what is deleted for good, and how it is cleared away.
//
// The tombstone (tombstone.h) is durable first. Then its connections end, its files go, and all its objects
// "wal/TENANT/TIMELINE/…": each safekeeper removes all of them, also what peers have put and the
// configurations that were decided, so that whoever deletes last leaves nothing. A put that is carried out
// late is looked for: again after 1, 2, 4, … seconds, for two minutes, and at each start.

#include <algorithm>

#include "core/env/io.h"
#include "core/objstore/keys.h"
#include "core/safekeeper/timelines.h"

namespace argon::safekeeper {
namespace {

constexpr Duration kFirstLook = Duration::seconds(1);
constexpr Duration kLastLook = Duration::seconds(64);

}  // namespace

std::string Timelines::directory(const Tombstone& what) const {
  std::string tenant = join_path(config_.data_dir, to_string(what.tenant));
  return what.timeline ? join_path(tenant, to_string(*what.timeline)) : tenant;
}

bool Timelines::is_deleted(const TenantTimelineId& id) const {
  return deleted_.contains({id.tenant, id.timeline}) || deleted_.contains({id.tenant, {}});
}

std::vector<Tombstone> Timelines::tombstones() const {
  std::vector<Tombstone> all;
  for (const auto& [what, clearing] : deleted_) all.push_back(what);
  return all;
}

// Of what was promised of them before nothing has to last.
Status Timelines::withdraw_claims(Task& task, const Tombstone& what) {
  std::vector<std::string> timelines;
  if (what.timeline) {
    timelines.push_back(to_string(*what.timeline));
  } else {
    TRY_ASSIGN(std::vector<DirEntry> entries, env_.disk().list(task, directory(what)));
    for (const DirEntry& entry : entries) timelines.push_back(entry.name);
  }
  for (const std::string& name : timelines)
    if (auto timeline = parse_timeline_id(name); timeline.ok())
      for (const char* promise : {"term", "flush", "backup"})
        env_.durable_claim(claim_key(config_.id, {what.tenant, *timeline}, promise), 0);
  return {};
}

Result<bool> Timelines::load_tombstone(Task& task, const Tombstone& what) {
  auto found = read_tombstone(task, env_.disk(), directory(what));
  if (found.is(Code::NotFound)) return false;
  if (found.ok() && *found != what) found = Error(Code::Corrupt, "it is of " + to_string(*found));
  if (found.is(Code::Corrupt) || found.is(Code::Unsupported)) {
    // That it is there says enough; what it should say is known from its place.
    log_.error("the tombstone of {} is damaged: {}", to_string(what), found.error().to_string());
    TRY(write_tombstone(task, env_.disk(), directory(what), what));
  } else {
    TRY(found);
  }
  TRY(withdraw_claims(task, what));
  deleted_[what] = {{}, false, env_.now(), kFirstLook};
  return true;
}

Result<bool> Timelines::remove(Task& task, const Tombstone& what) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  if (auto known = deleted_.find(what); known != deleted_.end()) return known->second.done;
  if (what.timeline && deleted_.contains({what.tenant, {}})) return true;
  for (const TenantTimelineId& id : filling_)
    if (what.covers(id))
      return Error(Code::Unavailable, "timeline " + to_string(id) + " is being made on this safekeeper");
  Uninterruptible whole(task);
  TRY(make_dirs(task, env_.disk(), directory(what)));
  TRY(write_tombstone(task, env_.disk(), directory(what), what).with("delete " + to_string(what)));
  Clearing clearing{{}, false, env_.now(), kFirstLook};
  auto take = [&](std::map<TenantTimelineId, std::shared_ptr<Timeline>>& from) {
    for (const auto& [id, timeline] : from)
      if (what.covers(id) && timeline != nullptr) clearing.timelines.push_back(timeline);
    std::erase_if(from, [&](const auto& one) { return what.covers(one.first); });
  };
  take(timelines_);
  take(leaving_);
  std::erase_if(removed_, [&](const auto& one) { return what.covers(one.first); });
  std::erase_if(broken_, [&](const auto& one) { return what.covers(one.first); });
  // Those of a tenant go with its folder.
  for (auto known = deleted_.begin(); known != deleted_.end();) {
    bool inside = known->first.tenant == what.tenant && !what.timeline;
    if (inside)
      for (const auto& timeline : known->second.timelines) clearing.timelines.push_back(timeline);
    known = inside ? deleted_.erase(known) : std::next(known);
  }
  std::vector<std::shared_ptr<Timeline>> ending = clearing.timelines;
  deleted_[what] = std::move(clearing);
  log_.info("{} is deleted", to_string(what));
  for (const std::shared_ptr<Timeline>& timeline : ending) TRY(timeline->condemn(task));
  TRY(withdraw_claims(task, what));
  return false;
}

Status Timelines::remove_files(Task& task, const Tombstone& what) {
  TRY_ASSIGN(std::vector<DirEntry> entries, env_.disk().list(task, directory(what)));
  for (const DirEntry& entry : entries)
    if (entry.name != kTombstoneName)
      TRY(remove_tree(task, env_.disk(), join_path(directory(what), entry.name)));
  return env_.disk().sync_dir(task, directory(what));
}

// One round. Errors are tried again.
Status Timelines::clear_deleted(Task& task, const Tombstone& what) {
  {
    Lock lock;
    TRY(lock.acquire(task, mutex_));
    auto known = deleted_.find(what);
    if (known == deleted_.end()) return {};  // with its tenant
    Clearing& clearing = known->second;
    for (const std::shared_ptr<Timeline>& timeline : clearing.timelines)
      if (timeline->proposers() + timeline->readers() > 0) return {};
    while (!clearing.timelines.empty()) {
      TRY(clearing.timelines.back()->stop(task, false));
      clearing.timelines.pop_back();
    }
    if (!clearing.done) TRY(remove_files(task, what));
  }
  if (store_ != nullptr) {
    Deadline deadline(task, kStoreTimeout);
    std::string prefix = what.timeline ? objstore::wal_prefix({what.tenant, *what.timeline})
                                       : "wal/" + to_string(what.tenant) + "/";
    TRY(objstore::remove_all(task, *store_, prefix));
  }
  auto cleared = deleted_.find(what);
  if (cleared == deleted_.end()) return {};  // with its tenant
  Clearing& clearing = cleared->second;
  if (!clearing.done) log_.info("nothing is left of {}", to_string(what));
  clearing.done = true;
  clearing.due = clearing.pause > kLastLook ? MonotonicTime::max() : env_.now() + clearing.pause;
  clearing.pause = clearing.pause * 2;
  return {};
}

void Timelines::clear_all_deleted(Task& task) {
  for (const Tombstone& what : tombstones()) {
    auto known = deleted_.find(what);
    if (known == deleted_.end() || known->second.due > env_.now() || task.cancelled()) continue;
    if (Status cleared = clear_deleted(task, what); !cleared.ok() && !cleared.is(Code::Cancelled))
      log_.warn("clear away {}, will try again: {}", to_string(what), cleared.error().to_string());
  }
}

}  // namespace argon::safekeeper
