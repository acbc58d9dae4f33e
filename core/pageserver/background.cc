// Timeline: its work in the background, and its rest.
//
// A timeline with nothing to do has one fiber here, which waits for something to do: there may be many such
// timelines, and each fiber takes memory and two mappings of the process, of which Linux allows 65,530.

#include <algorithm>

#include "core/env/points.h"
#include "core/pageserver/timeline.h"

namespace argon::pageserver {

namespace {

// What does not notify is seen so late at most, as a GC period that was made shorter.
constexpr Duration kLook = Duration::seconds(10);

}  // namespace

Status Timeline::run(Task& task, const Begin& begin) {
  flushed_.advance(store_.disk_consistent());
  // Timelines that were attached together do not all begin at once.
  Duration period = tenant_gc_->settings ? tenant_gc_->settings->period : Duration();
  last_gc_ = env_.now() - env_.random("pageserver.gc").between(Duration(), period);
  while (!task.cancelled()) {
    rests_ = true;
    Status rested = rest(task);
    rests_ = false;
    TRY(rested);
    TRY(work(task, begin));
  }
  return {};
}

// Beside uploads. Where nothing is uploaded, layers stay as they are: what replaces them could not be
// evicted.
bool Timeline::has_work() const {
  bool compacts = may_upload(tenant_gc_->mode) && store_.wants_compaction();
  return store_.has_unflushed() || compacts || store_.has_doomed() || wants_rebuild_ ||
         compacting_.locked() || (next_gc() <= env_.now() && gc_allowed().ok());
}

Status Timeline::work(Task& task, const Begin& begin) {
  Scope scope(task);
  // While one layer is synced, and named by the index, the next is built.
  for (int i = 0; i < 2; i++) scope.spawn("flush", [this](Task& t) { return flush_loop(t); });
  scope.spawn("compact", [this](Task& t) { return compact_loop(t); });
  scope.spawn("upload", [this](Task& t) { return upload_loop(t); });
  scope.spawn("gc", [this](Task& t) { return gc_loop(t); });
  begin(scope);
  Status slept;
  do {
    slept = task.sleep(options_.rest_after);
  } while (slept.ok() && (has_work() || uploading_.locked() || behind()));
  Status stopped = scope.stop(task);
  return slept.ok() ? stopped : slept;
}

Status Timeline::rest(Task& task) {
  while (!has_work()) {
    // As after a start, when each one needs an index of this life: not all at once with all their fibers.
    if (behind()) {
      TRY(try_upload(task));
      continue;
    }
    task.env().probe("pageserver.timeline-rests"_probe);
    Duration until_gc = std::max(next_gc() - env_.now(), options_.retry_delay);
    TRY(wait_at_most(task, store_.work(), std::min(kLook, until_gc)));
  }
  return {};
}

MonotonicTime Timeline::next_gc() const {
  Duration period = tenant_gc_->settings ? tenant_gc_->settings->period : Duration();
  return period > Duration() ? last_gc_ + period : MonotonicTime::max();
}

Status Timeline::flush_loop(Task& task) {
  while (!task.cancelled()) {
    auto flushed = store_.flush_one(task);
    if (flushed.is(Code::Cancelled)) return flushed.error();
    flushed_.advance(store_.disk_consistent());
    if (!flushed.ok()) {
      task.env().probe("pageserver.flush-failed"_probe);
      log_.error("flush, will try again: {}", flushed.error().to_string());
      TRY(task.sleep(options_.retry_delay));
      continue;
    }
    if (*flushed) {
      flushes_.add();
      log_.debug("flushed up to {}", to_string(store_.disk_consistent()));
      continue;
    }
    MonotonicTime before = task.env().now();
    TRY(wait_at_most(task, store_.changes(), options_.checkpoint_timeout));
    bool due = task.env().now() - before >= options_.checkpoint_timeout;
    if (due || task.env().buggify("pageserver.freezes-early"_rare)) store_.freeze();
  }
  return {};
}

Status Timeline::compact_loop(Task& task) {
  store_.set_compacting(may_upload(tenant_gc_->mode));
  while (!task.cancelled()) {
    TRY(wait_at_most(task, store_.changes(), options_.compaction_period));
    bool allowed = may_upload(tenant_gc_->mode);
    if (!allowed) store_.set_compacting(false);
    bool early = task.env().buggify("pageserver.compacts-early"_rare);
    bool wanted = allowed && (store_.wants_compaction() || early);
    if (!wanted && !store_.has_doomed()) continue;
    if (task.env().buggify("pageserver.compacts-late"_rare)) continue;
    Status done = wanted ? compact(task) : store_.sweep(task);
    if (done.is(Code::Cancelled)) return done;
    if (!done.ok()) {
      task.env().probe("pageserver.compaction-failed"_probe);
      log_.warn("compaction, will try again: {}", done.error().to_string());
    }
    // Removed layers may still be read for a moment; and what failed is not tried again at once.
    if (!done.ok() || !store_.wants_compaction()) TRY(task.sleep(options_.retry_delay));
  }
  return {};
}

Status Timeline::upload_loop(Task& task) {
  while (!task.cancelled()) {
    if (!behind()) {
      TRY(wait_at_most(task, store_.changes(), options_.checkpoint_timeout));
      continue;
    }
    if (task.env().buggify("pageserver.uploads-late"_rare)) TRY(task.sleep(options_.retry_delay));
    TRY(try_upload(task));
  }
  return {};
}

// Only ends with an error where the task does.
Status Timeline::try_upload(Task& task) {
  Status done = upload(task);
  if (done.ok() || done.is(Code::Cancelled)) return done;
  task.env().probe(done.is(Code::MaybeApplied) ? "pageserver.upload-answer-lost"_probe
                                               : "pageserver.upload-failed"_probe);
  log_.warn("upload, will try again: {}", done.error().to_string());
  return task.sleep(options_.retry_delay);
}

Status Timeline::gc_loop(Task& task) {
  while (!task.cancelled()) {
    Duration left = next_gc() - env_.now();
    if (left > Duration()) {
      TRY(wait_at_most(task, tenant_gc_->changed, std::min(left, kLook)));
      continue;
    }
    if (!gc_allowed().ok()) {
      TRY(wait_at_most(task, tenant_gc_->changed, options_.retry_delay));
      continue;
    }
    last_gc_ = env_.now();
    Result<GcResult> done = gc(task);
    if (done.is(Code::Cancelled)) return done.error();
    if (!done.ok()) {
      task.env().probe("pageserver.gc-failed"_probe);
      log_.warn("GC, will try again: {}", done.error().to_string());
    }
  }
  return {};
}

}  // namespace argon::pageserver
