#include "core/pageserver/key_ranges.h"

#include <algorithm>

namespace argon::pageserver {

std::vector<KeyRange> without(const std::vector<KeyRange>& ranges, const KeyRange& hole) {
  std::vector<KeyRange> left;
  for (const KeyRange& range : ranges) {
    if (!range.overlaps(hole)) {
      left.push_back(range);
      continue;
    }
    if (range.begin < hole.begin) left.push_back({range.begin, hole.begin});
    if (hole.end < range.end) left.push_back({hole.end, range.end});
  }
  return left;
}

std::vector<KeyRange> merged(std::vector<KeyRange> ranges) {
  std::ranges::sort(ranges);
  std::vector<KeyRange> out;
  for (const KeyRange& range : ranges) {
    if (!out.empty() && range.begin <= out.back().end)
      out.back().end = std::max(out.back().end, range.end);
    else
      out.push_back(range);
  }
  return out;
}

}  // namespace argon::pageserver
