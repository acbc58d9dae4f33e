#include "core/pageserver/node_cache.h"

namespace argon::pageserver {

uint32_t NodeCache::take_slot() {
  if (slots_.size() < capacity_ || slots_.empty()) {
    slots_.push_back(nullptr);
    return static_cast<uint32_t>(slots_.size() - 1);
  }
  for (;;) {
    uint32_t slot = hand_;
    hand_ = (hand_ + 1) % static_cast<uint32_t>(slots_.size());
    CachedNode* holder = slots_[slot];
    if (holder != nullptr && std::exchange(holder->used, false)) continue;
    if (holder != nullptr) remove(*holder);
    return slot;
  }
}

void NodeCache::insert(CachedNode& at, std::shared_ptr<const LayerNode> node) {
  CHECK(at.node == nullptr && node != nullptr);
  at.slot = take_slot();
  at.node = std::move(node);
  at.used = true;
  slots_[at.slot] = &at;
}

void NodeCache::remove(CachedNode& at) {
  if (at.node == nullptr) return;
  slots_[at.slot] = nullptr;
  at.node.reset();
}

const ValueWindow* NodeCache::window(uint64_t file_id) const {
  for (const auto& [id, window] : windows_)
    if (id == file_id) return &window;
  return nullptr;
}

void NodeCache::set_window(uint64_t file_id, ValueWindow window) {
  remove_window(file_id);
  windows_.emplace_front(file_id, std::move(window));
  if (windows_.size() > kWindowsMax) windows_.pop_back();
}

void NodeCache::remove_window(uint64_t file_id) {
  windows_.remove_if([&](const auto& window) { return window.first == file_id; });
}

}  // namespace argon::pageserver
