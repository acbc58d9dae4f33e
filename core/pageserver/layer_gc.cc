// LayerStore's garbage: which layers no read looks at any more.
//
// A read at L looks, for each key, at the newest image at or below L and at the deltas above that image. So a
// layer that begins at or below L is needed at L for the keys that no image holds whose LSN is at or above
// all of the layer's changes, and at or below L. Of all reads at or above the cutoff the one at the cutoff
// needs most. Taking away at once all layers that are not needed is right: what covers one of them and is
// garbage itself is covered in turn by an image that stays.

#include <algorithm>

#include "core/pageserver/key_ranges.h"
#include "core/pageserver/layer_store.h"

namespace argon::pageserver {

namespace {

constexpr int kLayersPerTurn = 64;

}  // namespace

bool LayerStore::keeps(Lsn lsn) const {
  return lsn >= index_.gc_cutoff || std::ranges::binary_search(index_.retained, lsn);
}

void LayerStore::set_gc_cutoff(Lsn cutoff, std::vector<Lsn> retained) {
  CHECK(cutoff >= index_.gc_cutoff && cutoff <= index_.disk_consistent);
  CHECK(std::ranges::is_sorted(retained) && (retained.empty() || retained.back() < cutoff));
  for (Lsn lsn : retained) CHECK(keeps(lsn));
  index_.gc_cutoff = cutoff;
  index_.retained = std::move(retained);
  work_.notify_all();
}

std::vector<KeyRange> LayerStore::needed_for(const LayerFile& layer, Lsn lsn) const {
  const LayerName& name = layer.name();
  if (name.begin > lsn) return {};
  // An image at the last LSN of a delta holds its changes; an image is replaced by a later one only.
  Lsn from = layer.is_delta() ? name.end - 1 : name.end;
  std::vector<KeyRange> needed{name.keys};
  for (const LayerPtr& image : layers_) {
    const LayerName& by = image->name();
    if (!image->is_delta() && from <= by.begin && by.begin <= lsn && by.keys.overlaps(name.keys))
      needed = without(needed, by.keys);
    if (needed.empty()) break;
  }
  return needed;
}

bool LayerStore::needed_for_retained(const LayerFile& layer) const {
  auto first = std::ranges::lower_bound(index_.retained, layer.name().begin);
  return std::any_of(first, index_.retained.end(), [&](Lsn lsn) { return !needed_for(layer, lsn).empty(); });
}

Result<std::vector<LayerStore::LayerPtr>> LayerStore::garbage(Task& task) const {
  std::vector<LayerPtr> garbage;
  int looked_at = 0;
  for (const LayerPtr& layer : layers()) {
    if (++looked_at % kLayersPerTurn == 0) TRY(task.yield());
    if (layer->name().end - 1 > index_.gc_cutoff) continue;
    if (!needed_for(*layer, index_.gc_cutoff).empty() || needed_for_retained(*layer)) continue;
    garbage.push_back(layer);
  }
  return garbage;
}

// Deltas, and images of which a part was replaced.
Result<LayerStore::Coverable> LayerStore::coverable(Task& task) const {
  Coverable out;
  int looked_at = 0;
  for (const LayerPtr& layer : layers()) {
    if (++looked_at % kLayersPerTurn == 0) TRY(task.yield());
    if (layer->is_l0() || layer->name().end - 1 > index_.gc_cutoff) continue;
    std::vector<KeyRange> needed = needed_for(*layer, index_.gc_cutoff);
    bool whole_image = !layer->is_delta() && needed.size() == 1 && needed.front() == layer->name().keys;
    if (needed.empty() || whole_image || needed_for_retained(*layer)) continue;
    out.bytes += layer->size();
    out.keys.insert(out.keys.end(), needed.begin(), needed.end());
  }
  out.keys = merged(std::move(out.keys));
  return out;
}

}  // namespace argon::pageserver
