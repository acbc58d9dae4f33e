#include "scenarios/linearizability.h"

#include <gtest/gtest.h>

#include "core/base/random.h"

namespace argon::scenarios {
namespace {

Operation write(int64_t call, int64_t ret, std::string value, std::string key = "k") {
  return {std::move(key), call, ret, "write", std::move(value), "ok"};
}
Operation read(int64_t call, int64_t ret, std::string value, std::string key = "k") {
  return {std::move(key), call, ret, "read", "", std::move(value)};
}
constexpr int64_t kNever = Operation::kNever;

bool holds(const std::vector<Operation>& history) {
  Linearizability result = check_linearizable(history, register_specification("0"));
  EXPECT_TRUE(result.decided);
  EXPECT_EQ(result.holds, result.violation.empty());
  return result.holds;
}

TEST(Linearizability, OneAfterTheOther) {
  EXPECT_TRUE(holds({}));
  EXPECT_TRUE(holds({write(1, 2, "a"), read(3, 4, "a")}));
  EXPECT_FALSE(holds({write(1, 2, "a"), read(3, 4, "0")}));
  EXPECT_FALSE(holds({write(1, 2, "a"), read(3, 4, "b")}));
}

TEST(Linearizability, OverlappingOperationsMayComeInEitherOrder) {
  EXPECT_TRUE(holds({write(1, 10, "a"), read(2, 3, "0"), read(4, 5, "a")}));
  EXPECT_TRUE(holds({write(1, 10, "a"), write(2, 9, "b"), read(11, 12, "a")}));
  EXPECT_TRUE(holds({write(1, 10, "a"), write(2, 9, "b"), read(11, 12, "b")}));
}

TEST(Linearizability, AReadNeverGoesBackBehindAnEarlierOne) {
  EXPECT_FALSE(holds({write(1, 10, "a"), read(2, 3, "a"), read(4, 5, "0")}));
  // The example of Herlihy and Wing's register: two readers disagree on the order of two writes.
  EXPECT_FALSE(holds({write(1, 10, "a"), write(1, 10, "b"), read(11, 12, "a"), read(13, 14, "b")}));
}

TEST(Linearizability, AnUnansweredWriteMayTakeEffectLateOrNever) {
  EXPECT_TRUE(holds({write(1, kNever, "a"), read(5, 6, "0"), read(7, 8, "a")}));
  EXPECT_TRUE(holds({write(1, kNever, "a"), read(5, 6, "0"), read(7, 8, "0")}));
  EXPECT_FALSE(holds({write(1, kNever, "a"), read(5, 6, "a"), read(7, 8, "0")}));
  EXPECT_FALSE(holds({read(1, 2, "a"), write(3, kNever, "a")}));
}

TEST(Linearizability, KeysAreIndependent) {
  EXPECT_TRUE(holds({write(1, 2, "a", "x"), read(3, 4, "0", "y")}));
  EXPECT_FALSE(holds({write(1, 2, "a", "x"), read(3, 4, "0", "y"), read(5, 6, "0", "x")}));
}

TEST(Linearizability, CompareAndSwapTellsWhoWon) {
  auto cas = [](int64_t call, int64_t ret, std::string change, std::string answer) {
    return Operation{"k", call, ret, "cas", std::move(change), std::move(answer)};
  };
  EXPECT_TRUE(holds({cas(1, 10, "0>a", "yes"), cas(2, 9, "0>b", "no"), read(11, 12, "a")}));
  EXPECT_FALSE(holds({cas(1, 10, "0>a", "yes"), cas(2, 9, "0>b", "yes")}));
  EXPECT_FALSE(holds({cas(1, 10, "0>a", "no")}));
}

TEST(Linearizability, ASwapTellsWhatWasThere) {
  auto swap = [](int64_t call, int64_t ret, std::string value, std::string was) {
    return Operation{"k", call, ret, "swap", std::move(value), std::move(was)};
  };
  EXPECT_TRUE(holds({swap(1, 10, "a", "b"), swap(2, 9, "b", "0"), read(11, 12, "a")}));
  EXPECT_FALSE(holds({swap(1, 10, "a", "0"), swap(2, 9, "b", "0")}));
  EXPECT_TRUE(holds(settle_unanswered({swap(1, kNever, "a", ""), swap(2, 9, "b", "a")})));
  EXPECT_FALSE(holds(settle_unanswered({swap(10, kNever, "a", ""), swap(2, 9, "b", "a")})));
}

TEST(Linearizability, WhatNobodySawNeedsNoPlaceInTheOrder) {
  std::vector<Operation> history{write(1, kNever, "a"), write(2, kNever, "b"), read(3, kNever, ""),
                                 read(5, 6, "b")};
  std::vector<Operation> settled = settle_unanswered(history);
  ASSERT_EQ(settled.size(), 2u);
  EXPECT_EQ(settled[0].input, "b");
  EXPECT_EQ(settled[0].ret, 6);
}

TEST(Linearizability, TheViolationIsNamed) {
  Linearizability result =
      check_linearizable({write(1, 2, "a"), read(3, 4, "0")}, register_specification("0"));
  EXPECT_NE(result.violation.find("read() -> 0 [3, 4]"), std::string::npos) << result.violation;
  EXPECT_NE(result.violation.find("write(a)"), std::string::npos) << result.violation;
}

TEST(Linearizability, ItGivesUpAndSaysSo) {
  std::vector<Operation> history;
  for (int i = 0; i < 30; i++) history.push_back(write(1, 100, std::to_string(i)));
  history.push_back(read(101, 102, "none"));
  Linearizability result = check_linearizable(history, register_specification("0"), 10'000);
  EXPECT_FALSE(result.decided);
}

// A register that is one, used by clients at once: the moments at which operations happen are drawn. One
// answer changed to a value that was never written is found.
TEST(Linearizability, RealHistoriesHoldAndForgedOnesDoNot) {
  for (uint64_t seed = 1; seed <= 300; seed++) {
    Random random(seed);
    std::vector<std::pair<int64_t, size_t>> moments;
    std::vector<Operation> history;
    for (int client = 0; client < 4; client++) {
      int64_t now = static_cast<int64_t>(random.below(10));
      for (int i = 0; i < 10; i++) {
        int64_t moment = now + static_cast<int64_t>(random.below(20));
        int64_t ret = moment + static_cast<int64_t>(random.below(20));
        bool writes = random.chance({1, 2});
        bool unanswered = writes && random.chance({1, 6});
        std::string value = std::to_string(client) + "." + std::to_string(i);
        history.push_back(writes ? write(now, unanswered ? kNever : ret, value) : read(now, ret, ""));
        bool happens = !unanswered || random.chance({1, 2});
        if (happens) moments.emplace_back(moment, history.size() - 1);
        now = ret + 1 + static_cast<int64_t>(random.below(5));
      }
    }
    std::sort(moments.begin(), moments.end());
    std::string value = "0";
    std::vector<size_t> reads;
    for (auto [moment, i] : moments) {
      if (history[i].kind == "write") value = history[i].input;
      if (history[i].kind == "read") reads.push_back(i);
      if (history[i].kind == "read") history[i].output = value;
    }
    ASSERT_TRUE(holds(history)) << seed;
    ASSERT_TRUE(holds(settle_unanswered(history))) << seed;
    if (reads.empty()) continue;
    // One that is late, or too early, or nothing special: both ways judge alike.
    std::vector<Operation> other = history;
    other[reads[random.below(reads.size())]].output = other[reads[random.below(reads.size())]].output;
    ASSERT_EQ(holds(other), holds(settle_unanswered(other))) << seed;
    history[reads[random.below(reads.size())]].output = "forged";
    ASSERT_FALSE(holds(history)) << seed;
  }
}

}  // namespace
}  // namespace argon::scenarios
