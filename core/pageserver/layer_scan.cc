// LayerStore's scans: what exists in a range of keys.

#include <algorithm>
#include <tuple>

#include "core/pageserver/key_ranges.h"
#include "core/pageserver/layer_store.h"
#include "core/pageserver/value.h"

namespace argon::pageserver {

std::vector<LayerStore::Part> LayerStore::parts_by_image(const KeyRange& range, Lsn lsn) const {
  std::vector<LayerPtr> images;
  for (const LayerPtr& layer : layers_)
    if (!layer->is_delta() && layer->name().begin <= lsn && layer->name().keys.overlaps(range))
      images.push_back(layer);
  std::ranges::sort(images, [](const LayerPtr& a, const LayerPtr& b) {
    return std::tuple(b->name().begin, a->name()) < std::tuple(a->name().begin, b->name());
  });
  std::vector<KeyRange> left{range};
  std::vector<Part> parts;
  for (const LayerPtr& image : images) {
    const KeyRange& keys = image->name().keys;
    for (const KeyRange& one : left)
      if (one.overlaps(keys))
        parts.push_back({{std::max(one.begin, keys.begin), std::min(one.end, keys.end)}, image});
    left = without(left, keys);
  }
  for (const KeyRange& one : left) parts.push_back({one, nullptr});
  std::ranges::sort(parts, {}, [](const Part& part) { return part.keys; });
  return parts;
}

Status LayerStore::scan_here(Task& task, const KeyRange& range, Lsn lsn, KeyFilter wanted,
                             std::map<Key, Version>& out, std::vector<KeyRange>& below) {
  for (size_t before = below.size();;) {
    uint64_t began_with = layer_sets_;
    std::map<Key, Version> found;
    Status scanned = scan_once(task, range, lsn, wanted, found, below);
    if (!scanned.ok() && try_again(began_with, scanned.error())) {
      below.resize(before);
      continue;
    }
    for (auto& [key, version] : found) {
      auto [slot, made] = out.try_emplace(key, version);
      if (!made && slot->second.lsn < version.lsn) slot->second = std::move(version);
    }
    return scanned;
  }
}

Status LayerStore::scan_once(Task& task, const KeyRange& range, Lsn lsn, KeyFilter wanted,
                             std::map<Key, Version>& out, std::vector<KeyRange>& below) {
  auto left_out = [&](const Key& key) { return wanted != nullptr && !wanted(key); };
  auto offer = [&](const Key& key, Lsn at, ByteView value) {
    auto [slot, made] = out.try_emplace(key);
    if (made || slot->second.lsn < at) slot->second = {at, to_bytes(value)};
  };
  auto from_memory = [&](const MemoryLayer& layer, const KeyRange& keys, Lsn low) {
    for (auto at = layer.entries().lower_bound(keys.begin);
         at != layer.entries().end() && at->first < keys.end; ++at) {
      if (left_out(at->first)) continue;
      for (const MemoryLayer::Entry& entry : at->second)
        if (low <= entry.lsn && entry.lsn <= lsn) offer(at->first, entry.lsn, entry.value);
    }
  };
  // What to look at is fixed now, before anything suspends.
  std::vector<Part> parts = parts_by_image(range, lsn);
  std::vector<LayerPtr> layers = layers_.all();
  for (const Part& part : parts) {
    Lsn low = part.image ? part.image->name().begin : Lsn();
    from_memory(*open_, part.keys, low);
    for (const Frozen& frozen : frozen_) from_memory(*frozen.layer, part.keys, low);
    if (!part.image) below.push_back(part.keys);
  }
  std::ranges::sort(layers,
                    [](const LayerPtr& a, const LayerPtr& b) { return a->name().end > b->name().end; });
  for (const Part& part : parts) {
    Lsn low = part.image ? part.image->name().end : Lsn();
    for (const LayerPtr& layer : layers) {
      const LayerName& name = layer->name();
      bool looked_at = layer == part.image || (layer->is_delta() && name.begin <= lsn && name.end > low);
      if (!looked_at || !name.keys.overlaps(part.keys)) continue;
      LayerCursor cursor(layer, part.keys, 8192);
      for (;;) {
        TRY_ASSIGN(bool more, cursor.next(task));
        if (!more) break;
        const LayerEntry& entry = cursor.entry();
        if (entry.lsn > lsn || (layer != part.image && entry.lsn < low) || left_out(entry.key)) continue;
        auto known = out.find(entry.key);
        if (known != out.end() && known->second.lsn >= entry.lsn) continue;
        TRY_ASSIGN(ByteView value, cursor.value(task));
        offer(entry.key, entry.lsn, value);
      }
    }
  }
  return {};
}

Result<std::map<Key, Bytes>> LayerStore::scan(Task& task, const KeyRange& range, Lsn lsn, KeyFilter wanted) {
  std::map<Key, Version> newest;
  std::vector<KeyRange> ranges{range};
  for (LayerStore* store = this; store != nullptr && !ranges.empty(); store = store->ancestor_) {
    std::vector<KeyRange> below;
    for (const KeyRange& one : ranges) TRY(store->scan_here(task, one, lsn, wanted, newest, below));
    ranges = std::move(below);
    lsn = std::min(lsn, store->index_.ancestor_lsn);
    if (store->ancestor_ != nullptr) TRY(store->ancestor_->reach(task, lsn));
  }
  std::map<Key, Bytes> out;
  for (const auto& [key, version] : newest) {
    if (version.value.empty() || version.value[0] != static_cast<uint8_t>(ValueKind::Image))
      return Error(Code::Corrupt, describe(key) + " at " + to_string(version.lsn) + " of timeline " +
                                      to_string(index_.id) + " is not an image");
    if (version.value.size() > 1) out.emplace(key, Bytes(version.value.begin() + 1, version.value.end()));
  }
  return out;
}

}  // namespace argon::pageserver
