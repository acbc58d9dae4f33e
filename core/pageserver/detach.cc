// Timeline: taking over the history that it reads from its ancestors.
//
// Layers of the ancestors are copied up to the branch point, while everybody goes on. The switch is one index
// in the object store that names copies and own layers, and no ancestor: before it nothing names the copies,
// after it the timeline is loaded anew (Tenants::detach_ancestor).

#include <algorithm>

#include "core/env/points.h"
#include "core/pageserver/timeline.h"

namespace argon::pageserver {

namespace {

constexpr Duration kAncestorWait = Duration::seconds(60);

}  // namespace

// A reader of ours may hold LSNs in an ancestor, and after a start it may not have said so yet.
Status Timeline::may_detach() const {
  for (const Timeline* timeline = this; timeline != nullptr; timeline = timeline->ancestor_.get())
    TRY(timeline->gc_allowed());
  return {};
}

Status Timeline::flush_up_to(Task& task, Lsn lsn) {
  Deadline deadline(task, kAncestorWait);
  TRY(store_.last_record().wait_for(task, lsn));
  if (store_.disk_consistent() < lsn) store_.freeze();
  return flushed_.wait_for(task, std::min(lsn, last_record())).with("flush timeline " + to_string(id()));
}

Result<Timeline::Inheritance> Timeline::copy_history(Task& task) {
  TRY(may_detach());
  Inheritance inherited;
  Lsn up_to = branch_point();
  for (Timeline* from = ancestor_.get(); from != nullptr; from = from->ancestor_.get()) {
    TRY(from->flush_up_to(task, up_to));
    // No suspension in between: what is retained belongs to these layers.
    LayerStore& store = from->store_;
    inherited.cutoff = std::max(inherited.cutoff, std::min(store.gc_cutoff(), up_to));
    for (Lsn lsn : store.retained())
      if (from->branch_point() < lsn && lsn <= up_to) inherited.retained.insert(lsn);
    inherited.start = store.start_lsn();
    for (const LayerStore::LayerPtr& layer : store.layers()) {
      if (layer->name().begin > up_to) continue;
      Status copied = store_.copy_layer(task, layer, up_to, inherited.layers);
      if (!copied.ok()) {
        store_.forget(inherited.layers);
        return copied.error().with("copy the history of timeline " + to_string(from->id()));
      }
    }
    up_to = std::min(up_to, from->branch_point());
  }
  return inherited;
}

// What is held by now was readable ever since the layers were looked at.
void Timeline::add_held(Inheritance& inherited) {
  Lsn up_to = branch_point();
  for (Timeline* from = ancestor_.get(); from != nullptr; from = from->ancestor_.get()) {
    for (Lsn lsn : from->holds_.held(env_.now(), inherited.cutoff))
      if (from->branch_point() < lsn && lsn <= up_to) inherited.retained.insert(lsn);
    up_to = std::min(up_to, from->branch_point());
  }
}

Result<Timeline::Switched> Timeline::detach(Task& task, const std::function<Status(Task&)>& before_switch) {
  Lock compacting;
  TRY(compacting.acquire(task, compacting_));
  TRY_ASSIGN(Inheritance inherited, copy_history(task));
  auto put = [&]() -> Result<Switched> {
    TRY(before_switch(task));
    Lock uploading;
    TRY(uploading.acquire(task, uploading_));
    TRY(check_uploads());
    TRY_ASSIGN(TimelineIndex index, remote_.upload(task, store_));
    TRY(may_detach());
    index.sequence = store_.next_index().sequence;
    index.ancestor.reset();
    index.start_lsn = inherited.start;
    inherited.cutoff = std::max(inherited.cutoff, index.gc_cutoff);
    add_held(inherited);
    inherited.retained.insert(index.retained.begin(), index.retained.end());
    index.gc_cutoff = inherited.cutoff;
    index.retained.assign(inherited.retained.begin(), inherited.retained.lower_bound(inherited.cutoff));
    TRY_ASSIGN(std::string key, remote_.put_detached(task, index, inherited.layers));
    task.env().probe("pageserver.detached"_probe);
    return Switched{std::move(index), std::move(key)};
  };
  Result<Switched> detached = put();
  if (!detached.ok()) store_.forget(inherited.layers);
  return detached;
}

}  // namespace argon::pageserver
