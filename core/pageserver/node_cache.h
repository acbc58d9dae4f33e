// NodeCache: what of the layers of a pageserver is in memory. Parsed index nodes, those that were not used
// for long out first; and the last windows on values, one a layer.
//
// Which node is whose is known to the layers, so that to find one takes no search: each keeps a CachedNode
// for each of its index blocks, and the cache says which of them stay. Those to go are chosen by a clock
// (Corbató, "A Paging Experiment with the Multics System", 1968).

#pragma once

#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "core/pageserver/layer_format.h"

namespace argon::pageserver {

// A part of a layer's stream of values that was read, and checked, ahead of a sequential reader.
struct ValueWindow {
  uint64_t begin = 0;
  Bytes values;

  bool holds(uint64_t offset, uint64_t length) const {
    return offset >= begin && offset + length <= begin + values.size();
  }
};

// A place for a node. It must not move, nor go, while it has one.
struct CachedNode {
  std::shared_ptr<const LayerNode> node;  // null: not in memory
  uint32_t slot = 0;                      // the cache's
  bool used = false;                      // since the clock's hand passed: set by who uses the node
};

class NodeCache {
 public:
  static constexpr size_t kWindowsMax = 32;

  explicit NodeCache(size_t capacity) : capacity_(capacity) {}

  // REQUIRES: `at` has none. Another place may lose its own.
  void insert(CachedNode& at, std::shared_ptr<const LayerNode> node);
  // Nothing where it has none.
  void remove(CachedNode& at);

  // Null where there is none. Valid until the next call.
  const ValueWindow* window(uint64_t file_id) const;
  void set_window(uint64_t file_id, ValueWindow window);
  void remove_window(uint64_t file_id);

 private:
  // An empty slot, or one whose node went.
  uint32_t take_slot();

  size_t capacity_;
  std::vector<CachedNode*> slots_;  // null: empty
  uint32_t hand_ = 0;
  std::list<std::pair<uint64_t, ValueWindow>> windows_;  // most recently made first
};

}  // namespace argon::pageserver
