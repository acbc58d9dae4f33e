// LayerMap: the layers of a timeline. Those that a key lies in are found without looking at the others, so
// that a read costs what covers its page, not what the timeline has.
//
// An interval tree over the ranges of keys (Cormen et al., Introduction to Algorithms, 3rd edition, 14.3),
// kept in an array: layers come and go with flushes and compactions, far less often than pages are read, and
// it is made anew then.

#pragma once

#include <memory>
#include <vector>

#include "core/pageserver/layer_file.h"

namespace argon::pageserver {

class LayerMap {
 public:
  using LayerPtr = std::shared_ptr<LayerFile>;

  void insert(LayerPtr layer);
  // Nothing where it is not there.
  void erase(const LayerPtr& layer);
  void clear();
  bool contains(const LayerPtr& layer) const;
  size_t l0_count() const { return l0_count_; }

  // By name.
  const std::vector<LayerPtr>& all() const { return layers_; }
  auto begin() const { return layers_.begin(); }
  auto end() const { return layers_.end(); }

  // Calls visit(const LayerPtr&) for each layer whose range of keys has `key`, in no order that means
  // anything.
  template <typename Visit>
  void visit_at(const Key& key, Visit&& visit) {
    if (stale_) make_tree();
    visit_below(key, 0, tree_.size(), visit);
  }

 private:
  // In the order of where ranges begin. The middle one of a part of the array is the root of the tree that
  // the part is.
  struct Node {
    KeyRange keys;
    Key end_below;  // the last end of all ranges in the tree
    uint32_t layer = 0;
  };

  void make_tree();
  Key set_ends(size_t from, size_t to);
  template <typename Visit>
  void visit_below(const Key& key, size_t from, size_t to, Visit& visit) const {
    while (from < to) {
      size_t middle = from + (to - from) / 2;
      const Node& node = tree_[middle];
      if (node.end_below <= key) return;
      visit_below(key, from, middle, visit);
      if (key < node.keys.begin) return;
      if (key < node.keys.end) visit(layers_[node.layer]);
      from = middle + 1;
    }
  }

  std::vector<LayerPtr> layers_;
  size_t l0_count_ = 0;  // of these
  std::vector<Node> tree_;
  bool stale_ = false;  // the tree is of other layers
};

}  // namespace argon::pageserver
