// Cases as text: what is printed is parsed; what is not a case is refused with its line. Limits and reseeds
// do what they say.

#include "scenarios/case.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace argon::scenarios {
namespace {

Case drawn_case(uint64_t seed) {
  Random random(seed);
  Case c;
  c.scenario = random.below(2) == 0 ? "cluster" : "durable-log";
  c.seed = random.next();
  c.length = Duration::microseconds(static_cast<int64_t>(1 + random.below(100'000'000)));
  if (random.below(2) == 0) c.limits.operations = random.below(1000);
  if (random.below(2) == 0)
    c.limits.operations_from = Duration::microseconds(static_cast<int64_t>(random.below(1000)));
  Duration at;
  for (uint64_t n = random.below(4); n > 0; n--) {
    Duration from = at + Duration::microseconds(static_cast<int64_t>(1 + random.below(1000)));
    at = from + Duration::microseconds(static_cast<int64_t>(1 + random.below(1000)));
    c.limits.idle.push_back({from, at});
  }
  c.limits.lifted_by_healing = random.below(2) == 0;
  for (uint64_t n = random.below(4); n > 0; n--)
    c.limits.sizes[(n % 2 == 0 ? "size-" : "a size of several words ") + std::to_string(n)] = random.below(9);
  for (uint64_t n = random.below(3); n > 0; n--) {
    uint64_t event = random.next();
    c.reseeds.push_back({event, random.next()});
  }
  if (random.below(2) == 0) c.only = "an oracle, of several words";
  if (random.below(2) == 0) c.plan = faults::draw_plan(random, {{"a", "b-1"}, Duration::seconds(9), {}});
  return c;
}

TEST(Case, IsParsedAsItWasPrinted) {
  for (uint64_t seed = 1; seed <= 300; seed++) {
    Case c = drawn_case(seed);
    Result<Case> parsed = parse_case(print(c));
    ASSERT_TRUE(parsed.ok()) << parsed.error().message() << "\n" << print(c);
    EXPECT_EQ(*parsed, c) << print(c);
  }
}

TEST(CaseBadInput, IsRefusedWithItsLine) {
  struct Bad {
    const char* text;
    const char* says;
  };
  const Bad bad[] = {
      {"", "line 0: expected 'argon-case 1'"},
      {"argon-case 2\n", "line 1: expected 'argon-case 1'"},
      {"argon-case 1\n", "the scenario is missing"},
      {"argon-case 1\nscenario\n", "line 2: scenario needs a name"},
      {"argon-case 1\nscenario x\nseed -1\n", "line 3"},
      {"argon-case 1\nscenario x\ntime 0\n", "line 3: a time above 0"},
      {"argon-case 1\nscenario x\ntime 99999999999999999\n", "line 3: the time"},
      {"argon-case 1\nscenario x\nreseed 1\n", "line 3"},
      {"argon-case 1\nscenario x\nidle 5 5\n", "line 3: spans"},
      {"argon-case 1\nscenario x\nidle 5 6\nidle 6 7\n", "line 4: spans"},
      {"argon-case 1\nscenario x\nsize\n", "line 3: size needs"},
      {"argon-case 1\nscenario x\n\n# note\ncolour red\n", "line 5: 'colour' is not known"},
      {"argon-case 1\nscenario x\nargon-plan 1\nnothing at=0\n", "no fault kind"},
  };
  for (const Bad& b : bad) {
    Result<Case> parsed = parse_case(b.text);
    ASSERT_FALSE(parsed.ok()) << b.text;
    EXPECT_NE(parsed.error().message().find(b.says), std::string::npos) << parsed.error().message();
  }
}

Case short_log() {
  Case c;
  c.scenario = "durable-log";
  c.seed = 3;
  c.length = Duration::seconds(10);
  c.plan = faults::Plan();
  return c;
}

Report run(const Case& c) {
  return run_scenario(*find_scenario(c.scenario), to_options(c));
}

TEST(Case, LimitsWhatTheWorkloadDoes) {
  Case c = short_log();
  size_t unlimited = run(c).operations.size();
  c.limits.operations = 7;
  c.limits.operations_from = Duration::seconds(4);
  c.only = "nothing else";  // too little progress is no failure here
  Report limited = run(c);
  EXPECT_GT(unlimited, 50u);
  ASSERT_EQ(limited.operations.size(), 7u);
  EXPECT_GE(limited.operations.front(), Duration::seconds(4));
  EXPECT_TRUE(limited.ok) << limited.failure;
  c.limits.lifted_by_healing = true;
  c.only.clear();
  limited = run(c);
  EXPECT_TRUE(limited.ok) << limited.failure;
  EXPECT_GT(limited.operations.size(), 16u);
}

TEST(Case, SaysWhenTheWorkloadIdles) {
  Case c = short_log();
  auto inside = [&] {
    std::vector<Duration> times = run(c).operations;
    return std::ranges::count_if(times, [](Duration at) {
      return (at >= Duration::seconds(2) && at < Duration::seconds(4)) || at >= Duration::seconds(5);
    });
  };
  EXPECT_GT(inside(), 20);
  c.limits.idle = {{Duration::seconds(2), Duration::seconds(4)},
                   {Duration::seconds(5), Duration::seconds(1000)}};
  EXPECT_EQ(inside(), 0);
}

TEST(Case, ReseedsFromAnEventOnAndNotBefore) {
  Case c = short_log();
  auto events = [](const Case& of) {
    RunOptions options = to_options(of);
    options.keep_events = true;
    return run_scenario(*find_scenario(of.scenario), options).log->events();
  };
  std::vector<sim::Event> plain = events(c);
  c.reseeds = {{2000, 1}};
  std::vector<sim::Event> other = events(c);
  EXPECT_EQ(other, events(c));
  size_t same = 0;
  while (same < plain.size() && same < other.size() && plain[same] == other[same]) same++;
  EXPECT_GE(same, 2000u);
  EXPECT_LT(same, 2200u);
}

}  // namespace
}  // namespace argon::scenarios
