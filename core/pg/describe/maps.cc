// Visibility and free space maps: access/visibilitymapdefs.h, visibilitymap.c, storage/fsm_internals.h.

#include <algorithm>
#include <optional>

#include "core/pg/describe/parts.h"

namespace argon::pg::describe {
namespace {

constexpr uint32_t kMapBytes = kBlockSize - page::kHeader;
constexpr uint32_t kHeapBlocksPerMapPage = kMapBytes * 4;  // two bits each
constexpr size_t kNodes = page::kHeader + 4;               // behind fp_next_slot
constexpr size_t kInnerNodes = kBlockSize / 2 - 1;         // NonLeafNodesPerPage
constexpr size_t kLeafNodes = kBlockSize - kNodes - kInnerNodes;
constexpr unsigned kBytesPerCategory = 32;  // FSM_CAT_STEP

// Runs of heap blocks that have the bit: [[first, last], ...].
Json runs(PageText& text, unsigned bit, uint32_t& count) {
  Json out = Json::array();
  uint32_t base = text.block * kHeapBlocksPerMapPage;
  std::optional<uint32_t> first;
  for (uint32_t i = 0; i <= kHeapBlocksPerMapPage; i++) {
    bool set = i < kHeapBlocksPerMapPage && (text.page[page::kHeader + i / 4] >> (i % 4 * 2) & bit) != 0;
    if (set) count++;
    if (set && !first) first = i;
    if (!set && first) {
      out.push_back({base + *first, base + i - 1});
      first.reset();
    }
  }
  return out;
}

}  // namespace

void describe_visibility_map(PageText& text) {
  uint32_t visible = 0, frozen = 0;
  Json visible_runs = runs(text, 1, visible), frozen_runs = runs(text, 2, frozen);
  text.content = {{"first_heap_block", text.block * kHeapBlocksPerMapPage},
                  {"all_visible", visible},
                  {"all_frozen", frozen},
                  {"all_visible_blocks", std::move(visible_runs)},
                  {"all_frozen_blocks", std::move(frozen_runs)}};
}

// A binary tree of maxima in an array. A slot of the lowest level stands for a heap block, of others for a
// page.
void describe_free_space_map(PageText& text) {
  // Not a fault where a node is no maximum: the map is not logged, and the server mends that as it comes by.
  auto node = [&](size_t i) { return i < kInnerNodes + kLeafNodes ? text.page[kNodes + i] : 0; };
  int wrong = 0;
  for (size_t i = 0; i < kInnerNodes; i++) wrong += node(i) != std::max(node(2 * i + 1), node(2 * i + 2));
  text.content = {
      {"fp_next_slot", text.at<int32_t>(page::kHeader)}, {"root", node(0)}, {"wrong_nodes", wrong}};
  for (size_t slot = 0; slot < kLeafNodes; slot++)
    if (unsigned category = text.page[kNodes + kInnerNodes + slot]; category != 0)
      text.items.push_back(
          {{"slot", slot}, {"category", category}, {"free_bytes", category * kBytesPerCategory}});
}

}  // namespace argon::pg::describe
