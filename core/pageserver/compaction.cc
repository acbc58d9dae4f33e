// LayerStore's compaction: L0 into L1 layers, and image layers where reads grow long.

#include <algorithm>

#include "core/pageserver/layer_store.h"
#include "core/pageserver/value.h"

namespace argon::pageserver {

namespace {

// Merges cursors over delta layers whose LSN ranges do not overlap.
class Merge {
 public:
  explicit Merge(const std::vector<LayerStore::LayerPtr>& layers) {
    for (const LayerStore::LayerPtr& layer : layers) cursors_.emplace_back(layer, KeyRange::all());
  }

  // The cursor at the smallest (key, LSN), or null at the end.
  Result<LayerCursor*> next(Task& task) {
    if (!started_) {
      started_ = true;
      for (LayerCursor& cursor : cursors_) {
        TRY_ASSIGN(bool more, cursor.next(task));
        live_.push_back(more ? &cursor : nullptr);
      }
    } else if (current_ != kNone) {
      TRY_ASSIGN(bool more, live_[current_]->next(task));
      if (!more) live_[current_] = nullptr;
    }
    current_ = kNone;
    for (size_t i = 0; i < live_.size(); i++)
      if (live_[i] != nullptr && (current_ == kNone || before(*live_[i], *live_[current_]))) current_ = i;
    return current_ == kNone ? nullptr : live_[current_];
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;
  static bool before(const LayerCursor& a, const LayerCursor& b) {
    return std::pair(a.entry().key, a.entry().lsn) < std::pair(b.entry().key, b.entry().lsn);
  }
  std::vector<LayerCursor> cursors_;
  std::vector<LayerCursor*> live_;
  size_t current_ = kNone;
  bool started_ = false;
};

}  // namespace

void LayerStore::forget(std::vector<LayerPtr>& unnamed) {
  for (LayerPtr& layer : unnamed) doomed_.push_back(std::move(layer));
  unnamed.clear();
  work_.notify_all();
}

// Outputs of work that failed.
Status LayerStore::doom(const Status& failed, std::vector<LayerPtr>& outputs) {
  forget(outputs);
  return failed;
}

// A copy of an L0 layer is none: it would be merged with later ones over the L1 layers that lie between.
Status LayerStore::copy_layer(Task& task, const LayerPtr& from, Lsn up_to, std::vector<LayerPtr>& copies) {
  LayerName name = new_name(from->name().kind, from->name().keys, from->name().begin,
                            std::min(from->name().end, up_to + 1));
  LayerCursor cursor(from, KeyRange::all());
  // To the next entry of the copy: true.
  auto next = [&](Task& t) -> Result<bool> {
    for (;;) {
      TRY_ASSIGN(bool more, cursor.next(t));
      if (!more || cursor.entry().lsn <= up_to) return more;
    }
  };
  TRY_ASSIGN(bool more, next(task));
  // An image without pages says that there are none.
  if (!more && from->is_delta()) return {};
  if (from->is_delta()) name.keys.begin = cursor.entry().key;
  TRY_ASSIGN(LayerPtr layer, write_layer(task, name, [&](Task& t, LayerWriter& out) -> Result<Key> {
               Key end = name.keys.end;
               while (more) {
                 TRY_ASSIGN(ByteView value, cursor.value(t));
                 TRY(out.add(t, cursor.entry().key, cursor.entry().lsn, value));
                 if (from->is_delta()) end = cursor.entry().key.next();
                 TRY_ASSIGN(more, next(t));
               }
               return end;
             }));
  copies.push_back(std::move(layer));
  return {};
}

Result<bool> LayerStore::compact_oldest_l0(Task& task, Lsn up_to, size_t at_least) {
  std::vector<LayerPtr> inputs;
  for (const LayerPtr& layer : layers_)
    if (layer->is_l0() && layer->name().end - 1 <= up_to) inputs.push_back(layer);
  std::ranges::sort(inputs,
                    [](const LayerPtr& a, const LayerPtr& b) { return a->name().begin < b->name().begin; });
  if (inputs.size() > options_.compaction_limit) inputs.resize(options_.compaction_limit);
  if (inputs.size() < at_least) return false;
  std::vector<LayerPtr> outputs;
  if (Status merged = merge_l0(task, inputs, outputs); !merged.ok()) return doom(merged, outputs).error();
  TRY(replace(task, std::move(inputs), std::move(outputs)));
  return true;
}

Status LayerStore::merge_l0(Task& task, const std::vector<LayerPtr>& inputs, std::vector<LayerPtr>& outputs) {
  Lsn begin = inputs.front()->name().begin;
  Lsn end = inputs.back()->name().end;
  Merge merge(inputs);
  TRY_ASSIGN(LayerCursor * cursor, merge.next(task));
  while (cursor != nullptr) {
    // The first key is never Key::min(), so that an L1 layer is not taken for an L0.
    LayerName name = new_name(LayerKind::Delta, {cursor->entry().key, Key::max()}, begin, end);
    TRY_ASSIGN(LayerPtr layer, write_layer(task, name, [&](Task& t, LayerWriter& out) -> Result<Key> {
                 Key last = name.keys.begin;
                 while (cursor != nullptr) {
                   const LayerEntry& entry = cursor->entry();
                   if (out.value_bytes() >= options_.compaction_target && entry.key != last) break;
                   TRY_ASSIGN(ByteView value, cursor->value(t));
                   TRY(out.add(t, entry.key, entry.lsn, value));
                   last = entry.key;
                   TRY_ASSIGN(cursor, merge.next(t));
                 }
                 return last.next();
               }));
    outputs.push_back(std::move(layer));
  }
  return {};
}

// The most delta layers that lie above the newest image, over all keys of the range.
uint32_t LayerStore::deltas_above_image(const KeyRange& range) const {
  std::vector<Key> borders{range.begin};
  for (const LayerPtr& layer : layers_) {
    const KeyRange& keys = layer->name().keys;
    if (keys.begin > range.begin && keys.begin < range.end) borders.push_back(keys.begin);
    if (keys.end > range.begin && keys.end < range.end) borders.push_back(keys.end);
  }
  std::ranges::sort(borders);
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  uint32_t most = 0;
  for (const Key& key : borders) {
    Lsn image;
    for (const LayerPtr& layer : layers_)
      if (!layer->is_delta() && layer->name().keys.contains(key))
        image = std::max(image, layer->name().begin);
    uint32_t deltas = 0;
    for (const LayerPtr& layer : layers_)
      if (layer->is_delta() && !layer->is_l0() && layer->name().keys.contains(key) &&
          layer->name().end > image + 1)
        deltas++;
    most = std::max(most, deltas);
  }
  return most;
}

// Those that end where the last compaction ended.
std::vector<LayerStore::LayerPtr> LayerStore::newest_l1() const {
  std::vector<LayerPtr> newest;
  for (const LayerPtr& layer : layers_) {
    if (!layer->is_delta() || layer->is_l0()) continue;
    if (!newest.empty() && layer->name().end > newest.front()->name().end) newest.clear();
    if (newest.empty() || layer->name().end == newest.front()->name().end) newest.push_back(layer);
  }
  return newest;
}

Result<std::optional<LayerStore::ImageNeed>> LayerStore::changed_by_compaction(Task& task,
                                                                               const KeyRange& range) const {
  std::optional<ImageNeed> need;
  for (const LayerPtr& layer : newest_l1()) {
    LayerCursor cursor(layer, range);
    TRY_ASSIGN(bool changed, cursor.next(task));
    if (!changed || (need && need->keys.begin < cursor.entry().key)) continue;
    need = ImageNeed{{cursor.entry().key, range.end}, image_lsn(*layer)};
  }
  return need;
}

// Where the layer ends; below the cutoff what an image needs may be gone.
Lsn LayerStore::image_lsn(const LayerFile& l1) const {
  return std::max(l1.name().end - 1, index_.gc_cutoff);
}

std::optional<LayerStore::ImageNeed> LayerStore::image_need() const {
  uint32_t most = 0;
  std::optional<ImageNeed> need;
  for (const LayerPtr& layer : newest_l1()) {
    uint32_t deltas = deltas_above_image(layer->name().keys);
    if (deltas < options_.image_threshold || deltas <= most) continue;
    most = deltas;
    need = ImageNeed{layer->name().keys, image_lsn(*layer)};
  }
  return need;
}

Status LayerStore::create_image(Task& task, const ImageNeed& need, const std::vector<Key>& keys,
                                const Materialize& make) {
  std::vector<LayerPtr> added;
  if (Status made = write_image_layers(task, need, keys, make, added); !made.ok()) return doom(made, added);
  return replace(task, {}, std::move(added));
}

Status LayerStore::write_image_layers(Task& task, const ImageNeed& need, const std::vector<Key>& keys,
                                      const Materialize& make, std::vector<LayerPtr>& added) {
  Key begin = need.keys.begin;
  size_t at = 0;
  while (begin < need.keys.end) {
    LayerName name = new_name(LayerKind::Image, {begin, need.keys.end}, need.lsn, need.lsn + 1);
    TRY_ASSIGN(LayerPtr layer, write_layer(task, name, [&](Task& t, LayerWriter& out) -> Result<Key> {
                 for (; at < keys.size() && out.value_bytes() < options_.compaction_target; at++) {
                   auto content = make(t, keys[at], need.lsn);
                   if (content.is(Code::NotFound)) continue;
                   if (!content.ok())
                     return content.error().with("make image layer of " + describe(keys[at]));
                   TRY(out.add(t, keys[at], need.lsn, image_value(*content)));
                 }
                 return at < keys.size() ? keys[at] : need.keys.end;
               }));
    begin = layer->name().keys.end;
    added.push_back(std::move(layer));
  }
  return {};
}

}  // namespace argon::pageserver
