#include "core/pageserver/gc.h"

#include <algorithm>

#include "core/env/points.h"
#include "core/pageserver/timeline.h"

namespace argon::pageserver {

namespace {

constexpr uint64_t kAlignment = 8;  // of LSNs at which records end

int64_t before_now(Env& env, Duration interval) {
  return WallTime{env.wall_now().ns - interval.ns}.to_postgres();
}

}  // namespace

Status Timeline::gc_allowed() const {
  auto waits = [&](const std::string& what) {
    return Error(Code::Unavailable, "timeline " + to_string(store_.id()) + ": GC waits " + what);
  };
  if (!may_delete(tenant_gc_->mode))
    return waits("until this location, " + std::string(to_string(tenant_gc_->mode)) + ", is AttachedSingle");
  if (!tenant_gc_->settings) return waits("for the tenant's configuration to be read");
  if (!tenant_gc_->all_loaded)
    return waits("for all timelines of the tenant to be loaded: one of them may be a branch of this one");
  if (!gc_holdoff_from_) return {};
  Duration left = *gc_holdoff_from_ + tenant_gc_->settings->lease - env_.now();
  if (left <= Duration()) return {};
  return waits("for another " + std::to_string(left.to_milliseconds()) +
               " ms, so that leases of before the start can be renewed");
}

// ---- How far

Result<Lsn> Timeline::gc_target(Task& task, const GcSettings& settings) {
  Lsn last = last_record();
  Lsn low = std::max(store_.gc_cutoff(), store_.start_lsn());
  Lsn target(last.value - std::min(last.value, settings.horizon));
  target = std::min(Lsn(target.value / kAlignment * kAlignment), remote_consistent());
  if (target > low && settings.pitr_interval > Duration()) {
    int64_t oldest = before_now(env_, settings.pitr_interval);
    TRY_ASSIGN(LsnAtTime at, lsn_at_time(task, store_, low, last, oldest));
    if (at.kind == LsnAtTime::Kind::Past || at.kind == LsnAtTime::Kind::NoData) return store_.gc_cutoff();
    target = std::min(target, at.lsn);
  }
  return target > low ? target : store_.gc_cutoff();
}

Result<LsnAtTime> Timeline::lsn_at(Task& task, int64_t time) {
  TRY_ASSIGN(LsnHolds::Hold low, hold(min_readable()));
  TRY_ASSIGN(LsnHolds::Hold high, hold(last_record()));
  return lsn_at_time(task, store_, low.lsn(), high.lsn(), time);
}

Result<std::optional<CommitTime>> Timeline::commit_at(Task& task, Lsn lsn) {
  if (lsn > last_record())
    return Error(Code::Invalid, "timeline " + to_string(id()) + " has no " + to_string(lsn) +
                                    " yet: it is at " + to_string(last_record()));
  TRY_ASSIGN(LsnHolds::Hold at, hold(lsn));
  return last_commit(task, store_, at.lsn());
}

// ---- Leases

// An index of an earlier life that comes late could have a higher cutoff, so this life must have one first.
Result<WallTime> Timeline::lease(Task& task, Lsn lsn) {
  TRY(check_uploads().with("lease of " + to_string(lsn)));
  TRY(settle_at(task, lsn).with("lease of " + to_string(lsn)));
  if (!tenant_gc_->settings)
    return Error(Code::Unavailable, "no lease can be given before the tenant's configuration is read");
  TRY(check_readable(lsn));
  Duration length = tenant_gc_->settings->lease;
  WallTime until = env_.wall_now() + length;
  holder_of(lsn).holds_.lease(lsn, env_.now() + length);
  // A life that claims a generation after this waits for the lease's length before its first round.
  TRY(remote_.confirm(task));
  return until;
}

// ---- A round

Result<GcResult> Timeline::gc(Task& task, const std::optional<GcSettings>& wanted) {
  Lock lock;
  TRY(lock.acquire(task, compacting_));
  TRY(gc_allowed());
  TRY(settle(task));
  TRY_ASSIGN(Lsn cutoff, gc_target(task, wanted.value_or(*tenant_gc_->settings)));
  store_.set_gc_cutoff(cutoff, holds_.held(env_.now(), cutoff));
  if (remote_.behind(store_)) TRY(upload(task));
  GcResult result{cutoff};
  TRY(remove_garbage(task, result));
  if (remote_.behind(store_)) TRY(upload(task));
  TRY(find_orphans(task));
  TRY(store_.sweep(task));
  gc_rounds_.add();
  if (result.layers > 0)
    log_.info("GC up to {}: {} layers of {} bytes removed", to_string(cutoff), result.layers, result.bytes);
  return result;
}

Status Timeline::remove_garbage(Task& task, GcResult& result) {
  while (true) {
    TRY_ASSIGN(bool compacted, store_.compact_l0_below(task, store_.gc_cutoff()));
    if (!compacted) break;
    compactions_.add();
  }
  Status covered = cover_history(task);
  if (covered.is(Code::Cancelled)) return covered;
  if (!covered.ok()) log_.warn("GC keeps history that no image covers: {}", covered.error().to_string());
  TRY_ASSIGN(std::vector<LayerStore::LayerPtr> garbage, store_.garbage(task));
  if (garbage.empty()) return {};
  for (const LayerStore::LayerPtr& layer : garbage) result.bytes += layer->size();
  result.layers = garbage.size();
  gc_layers_.add(result.layers);
  gc_bytes_.add(result.bytes);
  task.env().probe("pageserver.gc-removed-layers"_probe);
  return store_.remove(task, std::move(garbage));
}

// Images at the cutoff, where they free at least as much as they take: so what GC writes is bounded by what
// was written before, and history below the cutoff by the size of the data.
Status Timeline::cover_history(Task& task) {
  TRY_ASSIGN(LayerStore::Coverable history, store_.coverable(task));
  if (history.keys.empty()) return {};
  TRY_ASSIGN(uint64_t cost, catalog_.block_bytes(task, history.keys, store_.gc_cutoff()));
  if (history.bytes < cost) return {};
  task.env().probe("pageserver.gc-made-images"_probe);
  for (const KeyRange& keys : history.keys) TRY(make_image(task, {keys, store_.gc_cutoff()}));
  return {};
}

Status Timeline::find_orphans(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, uploading_));
  return remote_.find_orphans(task, store_);
}

}  // namespace argon::pageserver
