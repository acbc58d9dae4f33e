#include "core/pageserver/layer_map.h"

#include <algorithm>

namespace argon::pageserver {

namespace {

bool by_name(const LayerMap::LayerPtr& a, const LayerMap::LayerPtr& b) {
  return a->name() < b->name();
}

}  // namespace

void LayerMap::insert(LayerPtr layer) {
  stale_ = true;
  if (layer->is_l0()) l0_count_++;
  layers_.insert(std::ranges::upper_bound(layers_, layer, by_name), std::move(layer));
}

void LayerMap::erase(const LayerPtr& layer) {
  stale_ = true;
  if (std::erase(layers_, layer) > 0 && layer->is_l0()) l0_count_--;
}

void LayerMap::clear() {
  layers_.clear();
  l0_count_ = 0;
  tree_.clear();
  stale_ = false;
}

bool LayerMap::contains(const LayerPtr& layer) const {
  return std::ranges::find(layers_, layer) != layers_.end();
}

void LayerMap::make_tree() {
  tree_.clear();
  tree_.reserve(layers_.size());
  for (const LayerPtr& layer : layers_)
    tree_.push_back({layer->name().keys, {}, static_cast<uint32_t>(tree_.size())});
  std::ranges::sort(tree_, {}, [](const Node& node) { return node.keys.begin; });
  set_ends(0, tree_.size());
  stale_ = false;
}

Key LayerMap::set_ends(size_t from, size_t to) {
  if (from == to) return Key::min();
  size_t middle = from + (to - from) / 2;
  Node& node = tree_[middle];
  node.end_below = std::max({node.keys.end, set_ends(from, middle), set_ends(middle + 1, to)});
  return node.end_below;
}

}  // namespace argon::pageserver
