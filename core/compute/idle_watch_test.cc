#include "core/compute/idle_watch.h"

#include <gtest/gtest.h>

namespace argon::compute {
namespace {

MonotonicTime at(int64_t seconds) {
  return MonotonicTime{} + Duration::seconds(seconds);
}

TEST(IdleClock, OnlyLooksThatAreAlikeCount) {
  IdleClock clock(at(0));
  Activity quiet{false, "12:00", 7};
  clock.looked(at(1), quiet);  // the first look: something had been done before
  clock.looked(at(10), quiet);
  EXPECT_EQ(clock.idle(at(11)), Duration::seconds(10));
}

TEST(IdleClock, WhatCameAndWentCounts) {
  IdleClock clock(at(0));
  clock.looked(at(1), {false, "12:00", 7});
  clock.looked(at(10), {false, "12:00", 8});  // a connection between two looks
  EXPECT_EQ(clock.idle(at(11)), Duration::seconds(1));
  clock.looked(at(20), {false, "12:01", 8});  // a statement between two looks
  EXPECT_EQ(clock.idle(at(21)), Duration::seconds(1));
}

TEST(IdleClock, WorkUnderWayAndFailedLooksCount) {
  IdleClock clock(at(0));
  Activity busy{true, "12:00", 7};
  clock.looked(at(1), busy);
  clock.looked(at(100), busy);
  EXPECT_EQ(clock.idle(at(101)), Duration::seconds(1));
  clock.failed(at(200));
  EXPECT_EQ(clock.idle(at(201)), Duration::seconds(1));
}

}  // namespace
}  // namespace argon::compute
