#include "core/pageserver/size_model.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace argon::pageserver {
namespace {

constexpr KeptAs kWays[] = {KeptAs::Nothing, KeptAs::Snapshot, KeptAs::Wal};

// What it costs to keep points so; none where something that is needed is not there.
std::optional<uint64_t> cost(const std::vector<HistoryPoint>& points, const std::vector<KeptAs>& kept) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < points.size(); i++) {
    const HistoryPoint& point = points[i];
    bool data_before = point.parent && kept[*point.parent] != KeptAs::Nothing;
    if (kept[i] == KeptAs::Wal && !data_before) return {};
    if (point.window && kept[i] != KeptAs::Wal) return {};
    if (point.needed && kept[i] == KeptAs::Nothing) return {};
    if (kept[i] == KeptAs::Snapshot) bytes += point.logical_size;
    if (kept[i] == KeptAs::Wal) bytes += point.lsn - points[*point.parent].lsn;
  }
  return bytes;
}

std::vector<HistoryPoint> draw_points() {
  std::vector<HistoryPoint> points;
  auto count = *rc::gen::inRange<size_t>(1, 8);
  for (size_t i = 0; i < count; i++) {
    HistoryPoint point;
    if (i > 0 && *rc::gen::inRange(0, 8) > 0) point.parent = *rc::gen::inRange<size_t>(0, i);
    uint64_t from = point.parent ? points[*point.parent].lsn : 0;
    point.lsn = from + *rc::gen::inRange<uint64_t>(0, 50);
    point.logical_size = *rc::gen::inRange<uint64_t>(0, 100);
    point.needed = *rc::gen::arbitrary<bool>();
    point.window = point.parent && *rc::gen::inRange(0, 4) == 0;
    points.push_back(point);
  }
  return points;
}

RC_GTEST_PROP(SizeModel, IsTheLeastOfAllWays, ()) {
  std::vector<HistoryPoint> points = draw_points();
  std::optional<uint64_t> least;
  std::vector<KeptAs> kept(points.size());
  uint64_t ways = 1;
  for (size_t i = 0; i < points.size(); i++) ways *= 3;
  for (uint64_t way = 0; way < ways; way++) {
    uint64_t rest = way;
    for (KeptAs& one : kept) {
      one = kWays[rest % 3];
      rest /= 3;
    }
    std::optional<uint64_t> bytes = cost(points, kept);
    if (bytes && (!least || *bytes < *least)) least = bytes;
  }
  RC_ASSERT(least.has_value());
  SyntheticSize size = synthetic_size(points);
  RC_ASSERT(size.bytes == *least);
  RC_ASSERT(cost(points, size.kept) == least);
}

// A root of 1000 bytes, whose window is 100 of WAL; a branch with 30 of its own costs these 30 more.
TEST(SizeModel, ABranchCostsWhatItChanges) {
  std::vector<HistoryPoint> points{{{}, 5000, 1000, true, false}, {0, 5100, 0, true, true}};
  EXPECT_EQ(synthetic_size(points).bytes, 1100u);
  points.push_back({1, 5130, 0, true, true});
  EXPECT_EQ(synthetic_size(points).bytes, 1130u);
  EXPECT_EQ(synthetic_size(points).kept, (std::vector{KeptAs::Snapshot, KeptAs::Wal, KeptAs::Wal}));
}

}  // namespace
}  // namespace argon::pageserver
