#include "core/pageserver/size_model.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/check.h"

namespace argon::pageserver {
namespace {

// More than any sum, and it can be added to.
constexpr uint64_t kImpossible = uint64_t{1} << 62;

struct Best {
  uint64_t bytes = kImpossible;
  KeptAs kept = KeptAs::Nothing;
  void consider(uint64_t other, KeptAs as) {
    if (other < bytes) *this = {other, as};
  }
};

// What a point and all below it cost at least; below, what its children do where its data is, or is not,
// there.
Best best_of(const HistoryPoint& point, uint64_t wal, bool data_before,
             const std::array<uint64_t, 2>& below) {
  Best best;
  if (!point.needed && !point.window) best.consider(below[0], KeptAs::Nothing);
  if (data_before) best.consider(wal + below[1], KeptAs::Wal);
  if (!point.window) best.consider(point.logical_size + below[1], KeptAs::Snapshot);
  if (best.bytes > kImpossible) best.bytes = kImpossible;
  return best;
}

}  // namespace

SyntheticSize synthetic_size(const std::vector<HistoryPoint>& points) {
  std::vector<std::array<uint64_t, 2>> below(points.size());
  std::vector<std::array<Best, 2>> best(points.size());  // by whether the parent's data is there
  SyntheticSize result;
  for (size_t i = points.size(); i-- > 0;) {
    const HistoryPoint& point = points[i];
    CHECK(point.parent ? *point.parent < i && points[*point.parent].lsn <= point.lsn : !point.window);
    uint64_t wal = point.parent ? point.lsn - points[*point.parent].lsn : 0;
    best[i] = {best_of(point, wal, false, below[i]), best_of(point, wal, true, below[i])};
    if (!point.parent) {
      result.bytes += best[i][0].bytes;
      continue;
    }
    for (size_t there : {0, 1}) {
      uint64_t& sum = below[*point.parent][there];
      sum = std::min(kImpossible, sum + best[i][there].bytes);
    }
  }
  result.kept.resize(points.size());
  for (size_t i = 0; i < points.size(); i++) {
    bool data_before = points[i].parent && result.kept[*points[i].parent] != KeptAs::Nothing;
    result.kept[i] = best[i][data_before ? 1 : 0].kept;
  }
  return result;
}

}  // namespace argon::pageserver
