// The small parts of garbage collection: sets of keys, holds and leases, what a configuration says.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "core/pageserver/key_ranges.h"
#include "core/pageserver/lsn_holds.h"
#include "core/pageserver/tenant_config.h"

namespace argon::pageserver {
namespace {

Key at(uint32_t n) {
  return {0, 0, 0, 0, 0, n};
}

std::vector<KeyRange> draw_ranges() {
  std::vector<KeyRange> ranges;
  for (int i = *rc::gen::inRange(0, 6); i > 0; i--) {
    auto begin = *rc::gen::inRange<uint32_t>(0, 30);
    ranges.push_back({at(begin), at(begin + *rc::gen::inRange<uint32_t>(1, 8))});
  }
  return ranges;
}

bool holds(const std::vector<KeyRange>& ranges, const Key& key) {
  return std::ranges::any_of(ranges, [&](const KeyRange& range) { return range.contains(key); });
}

RC_GTEST_PROP(KeyRanges, AreSetsOfKeys, ()) {
  std::vector<KeyRange> drawn = draw_ranges();
  std::vector<KeyRange> set = merged(drawn);
  for (size_t i = 1; i < set.size(); i++) RC_ASSERT(set[i - 1].end < set[i].begin);
  auto begin = *rc::gen::inRange<uint32_t>(0, 30);
  KeyRange hole{at(begin), at(begin + *rc::gen::inRange<uint32_t>(1, 12))};
  std::vector<KeyRange> left = without(set, hole);
  for (uint32_t n = 0; n < 50; n++) {
    RC_ASSERT(holds(set, at(n)) == holds(drawn, at(n)));
    RC_ASSERT(holds(left, at(n)) == (holds(set, at(n)) && !hole.contains(at(n))));
  }
}

TEST(LsnHolds, AHoldLastsAsLongAsTheObjectAndALeaseItsTime) {
  LsnHolds holds;
  LsnHolds::Hold first = holds.hold(Lsn(10));
  MonotonicTime now{1'000};
  holds.lease(Lsn(20), now + Duration::nanoseconds(10));
  holds.lease(Lsn(20), now);
  {
    LsnHolds::Hold again = holds.hold(Lsn(10));
    LsnHolds::Hold moved = std::move(again);
    EXPECT_EQ(holds.held(now, Lsn(100)), (std::vector<Lsn>{Lsn(10), Lsn(20)}));
  }
  EXPECT_EQ(holds.held(now, Lsn(20)), (std::vector<Lsn>{Lsn(10)}));
  EXPECT_EQ(holds.held(now + Duration::nanoseconds(10), Lsn(100)), (std::vector<Lsn>{Lsn(10)}));
  first = {};
  EXPECT_TRUE(holds.held(now, Lsn(100)).empty());
}

TEST(TenantConfig, DurationsAreTexts) {
  EXPECT_EQ(duration_text(Duration()), "0s");
  EXPECT_EQ(duration_text(Duration::seconds(7 * 24 * 3600)), "7d");
  EXPECT_EQ(duration_text(Duration::milliseconds(5'400'500)), "1h30m500ms");
  for (const char* good : {"0s", "7d", "1h30m", "500ms", "36500d", "1d2h3m4s5ms"}) {
    auto parsed = parse_duration_text(good);
    ASSERT_TRUE(parsed.ok()) << good;
    EXPECT_EQ(parse_duration_text(duration_text(*parsed))->ns, parsed->ns);
  }
  EXPECT_EQ(parse_duration_text("90m")->ns, Duration::seconds(5400).ns);
  for (const char* bad :
       {"", "7", "d", "-1s", "1.5h", "1m1h", "1s1s", "36501d", "99999999999999999999s", "1h "})
    EXPECT_FALSE(parse_duration_text(bad).ok()) << bad;
}

TEST(TenantConfig, HasWhatIsNotUsual) {
  TenantConfig config;
  EXPECT_EQ(to_json(config), "{}");
  config.gc = {Duration::seconds(60), 1 << 20, Duration(), Duration::seconds(5)};
  EXPECT_EQ(to_json(config),
            R"({"gc_horizon":1048576,"gc_period":"0s","lsn_lease_length":"5s","pitr_interval":"1m"})");
  EXPECT_EQ(*parse_tenant_config(to_json(config)), config);
  for (const char* bad : {R"({"gc_horizon":-1})", R"({"gc_horizon":"1"})", R"({"pitr_interval":7})",
                          R"({"lsn_lease_length":"0s"})", R"({"gc":"1h"})"})
    EXPECT_TRUE(parse_tenant_config(bad).is(Code::Invalid)) << bad;
}

}  // namespace
}  // namespace argon::pageserver
