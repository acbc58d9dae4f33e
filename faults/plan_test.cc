#include "faults/plan.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace argon::faults {
namespace {

const DrawOptions kOptions{
    {"safekeeper-1", "safekeeper-2", "pageserver"}, Duration::seconds(60), {}, {"pageserver"}};

RC_GTEST_PROP(Plan, PrintsAndParses, (uint64_t seed)) {
  Random random(seed);
  Plan plan = draw_plan(random, kOptions);
  Result<Plan> parsed = parse_plan(print(plan));
  RC_ASSERT(parsed.ok());
  RC_ASSERT(*parsed == plan);
}

RC_GTEST_PROP(Plan, FaultsLieWithinTheHorizon, (uint64_t seed)) {
  Random random(seed);
  for (const Fault& fault : draw_plan(random, kOptions).faults)
    RC_ASSERT(fault.at >= Duration{} && fault.at + fault.length <= kOptions.horizon);
}

TEST(Plan, EveryKindIsDrawnAndEachFamilyIsOffInAboutHalf) {
  std::set<Kind> kinds;
  std::array<int, kFamilies> on{};
  for (uint64_t seed = 0; seed < 1000; seed++) {
    Random random(seed);
    std::set<Family> families;
    for (const Fault& fault : draw_plan(random, kOptions).faults) {
      kinds.insert(fault.kind);
      families.insert(info(fault.kind).family);
    }
    for (Family family : families) on[static_cast<size_t>(family)]++;
  }
  EXPECT_EQ(kinds.size(), kKinds);
  for (int n : on) {
    EXPECT_GT(n, 400);
    EXPECT_LT(n, 600);
  }
}

TEST(Plan, TheRestIsBrokenInEveryWayAndARivalNeverReachesTheCore) {
  std::set<Kind> kinds;
  for (uint64_t seed = 0; seed < 200; seed++) {
    Random random(seed);
    CoreOptions options{{"a", "b"}, {"c", "r"}, {"r"}, Duration::seconds(60), Duration::seconds(1000)};
    Plan plan = draw_broken_rest(random, options);
    bool rival_is_harmless = false;
    size_t ways_out = 0;
    for (const Fault& fault : plan.faults) {
      EXPECT_EQ(fault.at, options.at);
      EXPECT_EQ(fault.length, options.length);
      kinds.insert(fault.kind);
      bool off = fault.kind == Kind::PowerLoss || fault.kind == Kind::Stall;
      rival_is_harmless = rival_is_harmless || (fault.node == "r" && off);
      ways_out += fault.node == "r" && fault.kind == Kind::OneWayPartition ? 1u : 0u;
      EXPECT_FALSE(fault.node == "r" && fault.kind == Kind::CrashLoop);
    }
    EXPECT_TRUE(rival_is_harmless || ways_out == options.core.size()) << "seed " << seed;
  }
  EXPECT_EQ(kinds, (std::set<Kind>{Kind::PowerLoss, Kind::Stall, Kind::CrashLoop, Kind::OneWayPartition}));
}

TEST(Plan, WhatIsWrongIsSaidWithItsLine) {
  auto message = [](std::string_view text) {
    Result<Plan> plan = parse_plan(text);
    return plan.ok() ? std::string("ok") : plan.error().to_string();
  };
  EXPECT_NE(message("").find("argon-plan 1"), std::string::npos);
  EXPECT_NE(message("argon-plan 2\n").find("line 1"), std::string::npos);
  EXPECT_NE(message("argon-plan 1\nrot at=1\n").find("'rot'"), std::string::npos);
  EXPECT_NE(message("argon-plan 1\n\npower-loss at=1 for=2\n").find("line 3: the node is missing"),
            std::string::npos);
  EXPECT_NE(message("argon-plan 1\npower-loss at=x for=2 node=a\n").find("at:"), std::string::npos);
  EXPECT_NE(message("argon-plan 1\npower-loss at=-1 for=2 node=a\n").find("at"), std::string::npos);
  EXPECT_NE(message("argon-plan 1\nclog at=1 for=2 from=a\n").find("to= is missing"), std::string::npos);
  EXPECT_EQ(message("argon-plan 1\n# said twice\nclog at=1 for=2 from=a to=b"), "ok");
}

TEST(Plan, KindsHaveDistinctNames) {
  std::set<std::string_view> names;
  for (const KindInfo& about : all_kinds()) {
    EXPECT_TRUE(names.insert(about.name).second) << about.name;
    EXPECT_EQ(parse_kind(about.name), about.kind);
    EXPECT_FALSE(about.what.empty());
  }
}

}  // namespace
}  // namespace argon::faults
