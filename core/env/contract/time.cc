// Clocks, sleeps, timers, random streams, offload, the log.

#include "core/env/contract/contract.h"
#include "core/env/points.h"

namespace argon::contract {
namespace {

using namespace literals;

struct Clocks : Contract {};
struct Timers : Contract {};
struct Randomness : Contract {};
struct Offload : Contract {};
struct Logs : Contract {};
struct RareBranches : Contract {};

CONTRACT(Clocks, TimeStandsStillBetweenWaits) {
  MonotonicTime begin = env.now();
  WallTime wall = env.wall_now();
  volatile uint64_t x = 0;
  for (int i = 0; i < 2'000'000; i++) x = x + 1;
  EXPECT_EQ(env.now(), begin);
  EXPECT_EQ(env.wall_now(), wall);
  return {};
}

CONTRACT(Clocks, AreNeverGoingBack) {
  MonotonicTime last = env.now();
  for (int i = 0; i < 500; i++) {
    TRY(task.yield());
    EXPECT_GE(env.now(), last);
    last = env.now();
  }
  return {};
}

CONTRACT(Clocks, AllTasksSeeTheSameTime) {
  MonotonicTime begin = env.now();
  Scope scope(task);
  scope.spawn("other", [&](Task& other) -> Status {
    EXPECT_EQ(other.env().now(), env.now());
    EXPECT_GE(env.now(), begin);
    return {};
  });
  return scope.join(task);
}

CONTRACT(Clocks, SleepLastsAtLeastAsLongAsAsked) {
  for (Duration d : {100_us, 1_ms, 7_ms}) {
    MonotonicTime begin = env.now();
    TRY(task.sleep(d));
    EXPECT_GE(env.now() - begin, d);
  }
  return {};
}

CONTRACT(Clocks, SleepOfNothingYields) {
  Scope scope(task);
  bool ran = false;
  scope.spawn("other", [&](Task&) -> Status {
    ran = true;
    return {};
  });
  for (int i = 0; i < 1000 && !ran; i++) TRY(task.sleep(0_ns));
  EXPECT_TRUE(ran);
  TRY(task.sleep(Duration{-5}));
  return scope.join(task);
}

CONTRACT(Clocks, SleepsOfDifferentLengthEndInOrder) {
  Scope scope(task);
  std::vector<int> order;
  for (int ms : {12, 4, 8})
    scope.spawn("sleeper", [&, ms](Task& t) -> Status {
      TRY(t.sleep(Duration::milliseconds(ms)));
      order.push_back(ms);
      return {};
    });
  TRY(scope.join(task));
  EXPECT_EQ(order, (std::vector{4, 8, 12}));
  return {};
}

CONTRACT(Clocks, TheWallClockMovesWithSleep) {
  WallTime begin = env.wall_now();
  TRY(task.sleep(5_ms));
  EXPECT_GT(env.wall_now(), begin);
  return {};
}

struct TestTimer : Timer {
  TestTimer(std::vector<int>& fired, int id) : fired(fired), id(id) {}
  void fire() override { fired.push_back(id); }
  std::vector<int>& fired;
  int id;
};

CONTRACT(Timers, FireOnceWhenDue) {
  std::vector<int> fired;
  TestTimer timer(fired, 1);
  env.reactor().arm(timer, env.now() + 2_ms);
  EXPECT_TRUE(timer.armed());
  TRY(task.sleep(4_ms));
  EXPECT_EQ(fired, std::vector{1});
  EXPECT_FALSE(timer.armed());
  TRY(task.sleep(3_ms));
  EXPECT_EQ(fired.size(), 1u);
  return {};
}

CONTRACT(Timers, ADisarmedOneDoesNotFire) {
  std::vector<int> fired;
  TestTimer timer(fired, 1);
  env.reactor().arm(timer, env.now() + 1_ms);
  env.reactor().disarm(timer);
  env.reactor().disarm(timer);
  EXPECT_FALSE(timer.armed());
  TRY(task.sleep(3_ms));
  EXPECT_TRUE(fired.empty());
  return {};
}

CONTRACT(Timers, FireInOrderOfDueThenOfArming) {
  std::vector<int> fired;
  std::vector<std::unique_ptr<TestTimer>> timers;
  MonotonicTime base = env.now();
  for (int i = 0; i < 6; i++) {
    timers.push_back(std::make_unique<TestTimer>(fired, i));
    env.reactor().arm(*timers.back(), base + (i % 2 == 0 ? 2_ms : 1_ms));
  }
  TRY(task.sleep(5_ms));
  EXPECT_EQ(fired, (std::vector{1, 3, 5, 0, 2, 4}));
  return {};
}

CONTRACT(Timers, OneInThePastFiresSoon) {
  std::vector<int> fired;
  TestTimer timer(fired, 1);
  env.reactor().arm(timer, env.now() - 5_ms);
  EXPECT_TRUE(fired.empty());
  TRY(task.sleep(1_ms));
  EXPECT_EQ(fired.size(), 1u);
  return {};
}

CONTRACT(Timers, MayBeArmedAnew) {
  std::vector<int> fired;
  TestTimer timer(fired, 1);
  for (int i = 0; i < 3; i++) {
    env.reactor().arm(timer, env.now() + 1_ms);
    TRY(task.sleep(3_ms));
  }
  EXPECT_EQ(fired.size(), 3u);
  return {};
}

CONTRACT(Timers, ManyFireAllOfThem) {
  std::vector<int> fired;
  std::vector<std::unique_ptr<TestTimer>> timers;
  Random& random = env.random("contract.timers");
  MonotonicTime base = env.now();
  for (int i = 0; i < 2000; i++) {
    timers.push_back(std::make_unique<TestTimer>(fired, i));
    Duration delay = random.between(0_ns, 3_ms);
    env.reactor().arm(*timers.back(), base + delay);
  }
  for (int i = 0; i < 2000; i += 2) env.reactor().disarm(*timers[static_cast<size_t>(i)]);
  TRY(task.sleep(10_ms));
  EXPECT_EQ(fired.size(), 1000u);
  for (size_t i = 1; i < fired.size(); i++)
    EXPECT_LE(timers[static_cast<size_t>(fired[i - 1])]->due(), timers[static_cast<size_t>(fired[i])]->due());
  return {};
}

CONTRACT(Randomness, AStreamIsTheSameObjectForTheSameName) {
  EXPECT_EQ(&env.random("contract.a"), &env.random("contract.a"));
  EXPECT_NE(&env.random("contract.a"), &env.random("contract.b"));
  return {};
}

CONTRACT(Randomness, StreamsDiffer) {
  uint64_t a = env.random("contract.a").next();
  uint64_t b = env.random("contract.b").next();
  EXPECT_NE(a, b);
  return {};
}

CONTRACT(Randomness, AStreamStaysValidWhileOthersAreMade) {
  Random& first = env.random("contract.first");
  for (int i = 0; i < 100; i++) env.random("contract." + std::to_string(i));
  EXPECT_EQ(&first, &env.random("contract.first"));
  EXPECT_LT(first.below(10), 10u);
  return {};
}

CONTRACT(Randomness, SecureBytesFillAllAndDiffer) {
  Bytes a(64), b(64);
  env.secure_random(a);
  env.secure_random(b);
  EXPECT_NE(a, b);
  EXPECT_FALSE(all_zeros(ByteView(a).last(16)));
  return {};
}

CONTRACT(Offload, RunsTheWorkAndReturnsAfterIt) {
  uint64_t sum = 0;
  env.offload(task, [&] {
    for (uint64_t i = 1; i <= 1000; i++) sum += i;
  });
  EXPECT_EQ(sum, 500'500u);
  return {};
}

CONTRACT(Offload, IsNotInterruptedByCancellationOrDeadline) {
  Scope scope(task);
  scope.cancel();
  bool done = false;
  scope.spawn("worker", [&](Task& worker) -> Status {
    Deadline past(worker, env.now() - 1_ms);
    env.offload(worker, [&] { done = true; });
    EXPECT_TRUE(done);
    return {};
  });
  TRY(scope.join(task));
  EXPECT_TRUE(done);
  return {};
}

CONTRACT(Offload, SeveralTasksMayHandOverWork) {
  Scope scope(task);
  std::vector<int> results(20, 0);
  for (size_t i = 0; i < results.size(); i++)
    scope.spawn("worker", [&, i](Task& worker) -> Status {
      env.offload(worker, [&results, i] { results[i] = static_cast<int>(i) + 1; });
      return {};
    });
  TRY(scope.join(task));
  for (size_t i = 0; i < results.size(); i++) EXPECT_EQ(results[i], static_cast<int>(i) + 1);
  return {};
}

CONTRACT(Logs, TakeLinesOfEveryLevel) {
  Logger log(env.log(), "suite=contract");
  MonotonicTime begin = env.now();
  log.debug("value {}", 1);
  log.info("value {}", 2);
  log.with("tenant", "t").warn("value {}", 3);
  EXPECT_EQ(env.now(), begin);
  EXPECT_TRUE(env.log().enabled(LogLevel::Error));
  return {};
}

CONTRACT(Logs, ProbesAndClaimsCostNothing) {
  MonotonicTime begin = env.now();
  env.probe("safekeeper.log-cut"_probe);
  env.durable_claim("contract.claim", 1);
  EXPECT_EQ(env.now(), begin);
  return {};
}

CONTRACT(RareBranches, AreNotTakenUnlessAWorldIsMadeSo) {
  for (int i = 0; i < 1000; i++) EXPECT_FALSE(env.buggify("safekeeper.sends-little"_rare));
  return {};
}

}  // namespace
}  // namespace argon::contract
