#include "core/base/metrics.h"

#include <gtest/gtest.h>

namespace argon {
namespace {

TEST(Metrics, TheTextIsSortedAndEscaped) {
  Metrics metrics;
  metrics.counter("argon_z_total", "Last.").add(3);
  metrics.gauge("argon_a", "First.", {{"node", "b\"\\\n"}}).set(-4);
  metrics.gauge("argon_a", "First.", {{"node", "a"}}).set(1);
  metrics.gauge_from("argon_b", "Asked.", {}, [] { return 9; });
  EXPECT_EQ(metrics.to_text(),
            "# HELP argon_a First.\n# TYPE argon_a gauge\nargon_a{node=\"a\"} "
            "1\nargon_a{node=\"b\\\"\\\\\\n\"} -4\n"
            "# HELP argon_b Asked.\n# TYPE argon_b gauge\nargon_b 9\n"
            "# HELP argon_z_total Last.\n# TYPE argon_z_total counter\nargon_z_total 3\n");
}

TEST(Metrics, HistogramBucketsAccumulate) {
  Metrics metrics;
  Histogram& h = metrics.histogram("argon_h", "H.", powers_of_two(1, 3));
  for (uint64_t v : {0, 1, 2, 3, 4, 100}) h.observe(v);
  EXPECT_EQ(metrics.to_text(),
            "# HELP argon_h H.\n# TYPE argon_h histogram\n"
            "argon_h_bucket{le=\"1\"} 2\nargon_h_bucket{le=\"2\"} 3\nargon_h_bucket{le=\"4\"} 5\n"
            "argon_h_bucket{le=\"+Inf\"} 6\nargon_h_sum 110\nargon_h_count 6\n");
}

TEST(Metrics, WhatIsGoneIsNotShown) {
  Metrics metrics;
  Counter& kept = metrics.counter("argon_c", "C.", {{"timeline", "x"}});
  metrics.counter("argon_c", "C.", {{"timeline", "y"}});
  metrics.remove("timeline", "y");
  kept.add();
  EXPECT_EQ(metrics.to_text(), "# HELP argon_c C.\n# TYPE argon_c counter\nargon_c{timeline=\"x\"} 1\n");
}

}  // namespace
}  // namespace argon
