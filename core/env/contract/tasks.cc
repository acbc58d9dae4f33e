// Tasks, scopes, cancellation, deadlines, shields.

#include "core/env/contract/contract.h"

namespace argon::contract {
namespace {

using namespace literals;

struct Tasks : Contract {};
struct Scopes : Contract {};
struct Cancellation : Contract {};
struct Deadlines : Contract {};
struct Shields : Contract {};

Status wait_for_ever(Task& task) {
  Waiter never(task);
  return task.wait(never);
}

CONTRACT(Tasks, KnowTheirNameAndEnv) {
  EXPECT_FALSE(task.name().empty());
  EXPECT_EQ(&task.env(), &env);
  Scope scope(task);
  scope.spawn("a name", [&](Task& child) -> Status {
    EXPECT_EQ(child.name(), "a name");
    EXPECT_EQ(&child.env(), &env);
    return {};
  });
  return scope.join(task);
}

CONTRACT(Tasks, ASpawnedBodyRunsLaterNotAtOnce) {
  Scope scope(task);
  bool ran = false;
  scope.spawn("child", [&](Task&) -> Status {
    ran = true;
    return {};
  });
  EXPECT_FALSE(ran);
  TRY(scope.join(task));
  EXPECT_TRUE(ran);
  return {};
}

CONTRACT(Tasks, YieldLetsOthersRun) {
  Scope scope(task);
  int ran = 0;
  scope.spawn("child", [&](Task&) -> Status {
    ran++;
    return {};
  });
  for (int i = 0; i < 1000 && ran == 0; i++) TRY(task.yield());
  EXPECT_EQ(ran, 1);
  return scope.join(task);
}

CONTRACT(Tasks, NothingElseRunsBetweenWaits) {
  Scope scope(task);
  int inside = 0;
  for (int i = 0; i < 20; i++)
    scope.spawn("worker", [&](Task& worker) -> Status {
      for (int round = 0; round < 20; round++) {
        EXPECT_EQ(inside++, 0);
        EXPECT_EQ(--inside, 0);
        TRY(worker.yield());
      }
      return {};
    });
  return scope.join(task);
}

CONTRACT(Tasks, AWaiterWokenBeforeTheWaitDoesNotSuspend) {
  Waiter waiter(task);
  waiter.wake();
  EXPECT_TRUE(waiter.woken());
  return task.wait(waiter);
}

CONTRACT(Tasks, AWaitEndsWhenWoken) {
  Scope scope(task);
  Waiter waiter(task);
  scope.spawn("waker", [&](Task& waker) -> Status {
    TRY(waker.sleep(1_ms));
    waiter.wake();
    return {};
  });
  EXPECT_FALSE(waiter.woken());
  TRY(task.wait(waiter));
  EXPECT_TRUE(waiter.woken());
  return scope.join(task);
}

CONTRACT(Tasks, WakingTwiceIsWakingOnce) {
  Scope scope(task);
  Waiter first(task);
  scope.spawn("waker", [&](Task&) -> Status {
    first.wake();
    first.wake();
    return {};
  });
  TRY(task.wait(first));
  Waiter second(task);
  Deadline soon(task, 2_ms);
  EXPECT_EQ(outcome(task.wait(second)), outcome<void>(Error(Code::TimedOut, "")));
  return scope.join(task);
}

CONTRACT(Tasks, ManyTasksShareOneScope) {
  Scope scope(task);
  int sum = 0;
  for (int i = 1; i <= 2000; i++)
    scope.spawn("adder", [&sum, i](Task& adder) -> Status {
      TRY(adder.yield());
      sum += i;
      return {};
    });
  EXPECT_EQ(scope.size(), 2000u);
  TRY(scope.join(task));
  EXPECT_EQ(scope.size(), 0u);
  EXPECT_EQ(sum, 2000 * 2001 / 2);
  return {};
}

uint64_t deep(Task& task, int depth) {
  volatile char room[512];
  room[0] = static_cast<char>(depth);
  if (depth == 0) {
    EXPECT_TRUE(task.yield().ok());
    return 1;
  }
  return deep(task, depth - 1) + static_cast<uint64_t>(room[0] != 0);
}

CONTRACT(Tasks, AStackHoldsDeepCallsAcrossAWait) {
  Scope scope(task);
  for (int i = 0; i < 4; i++)
    scope.spawn("deep", [](Task& t) -> Status {
      EXPECT_GT(deep(t, 100), 90u);
      return {};
    });
  return scope.join(task);
}

CONTRACT(Tasks, LocalsSurviveWaits) {
  Scope scope(task);
  for (int i = 0; i < 50; i++)
    scope.spawn("keeper", [i](Task& keeper) -> Status {
      std::vector<int> mine(100, i);
      for (int round = 0; round < 10; round++) TRY(keeper.yield());
      for (int value : mine) EXPECT_EQ(value, i);
      return {};
    });
  return scope.join(task);
}

CONTRACT(Tasks, AnExceptionCaughtInsideATaskStaysThere) {
  Scope scope(task);
  int caught = 0;
  for (int i = 0; i < 10; i++)
    scope.spawn("thrower", [&caught, i](Task& thrower) -> Status {
      TRY(thrower.yield());
      try {
        throw i;
      } catch (int value) {
        EXPECT_EQ(value, i);
        caught++;
      }
      return thrower.yield();
    });
  TRY(scope.join(task));
  EXPECT_EQ(caught, 10);
  return {};
}

CONTRACT(Scopes, JoinOfAnEmptyScopeReturnsAtOnce) {
  Scope scope(task);
  return scope.join(task);
}

CONTRACT(Scopes, JoinWaitsForAllChildren) {
  Scope scope(task);
  int ended = 0;
  for (int i = 0; i < 5; i++)
    scope.spawn("child", [&, i](Task& child) -> Status {
      TRY(child.sleep(Duration::milliseconds(i)));
      ended++;
      return {};
    });
  TRY(scope.join(task));
  EXPECT_EQ(ended, 5);
  return {};
}

CONTRACT(Scopes, TheFirstErrorIsTheScopesAndCancelsTheOthers) {
  Scope scope(task);
  std::string other;
  scope.spawn("patient", [&](Task& child) -> Status {
    Status status = wait_for_ever(child);
    other = outcome(status);
    return status;
  });
  scope.spawn("failing", [](Task& child) -> Status {
    TRY(child.yield());
    return Error(Code::Corrupt, "broken");
  });
  Status joined = scope.join(task);
  EXPECT_TRUE(joined.is(Code::Corrupt));
  EXPECT_EQ(joined.error().message(), "broken");
  EXPECT_EQ(other, to_string(Code::Cancelled));
  EXPECT_TRUE(scope.cancelled());
  return {};
}

CONTRACT(Scopes, ACancelledChildIsNoErrorOfTheScope) {
  Scope scope(task);
  scope.spawn("patient", wait_for_ever);
  TRY(task.yield());
  scope.cancel();
  return scope.join(task);
}

CONTRACT(Scopes, StopCancelsAndWaits) {
  Scope scope(task);
  int ended = 0;
  for (int i = 0; i < 3; i++)
    scope.spawn("patient", [&](Task& child) -> Status {
      Status status = wait_for_ever(child);
      ended++;
      return status;
    });
  TRY(scope.stop(task));
  EXPECT_EQ(ended, 3);
  return {};
}

CONTRACT(Scopes, ATaskSpawnedIntoACancelledScopeStillRuns) {
  Scope scope(task);
  scope.cancel();
  bool ran = false;
  scope.spawn("late", [&](Task& late) -> Status {
    ran = true;
    EXPECT_TRUE(late.cancelled());
    return late.yield();
  });
  TRY(scope.join(task));
  EXPECT_TRUE(ran);
  return {};
}

CONTRACT(Scopes, ScopesNestAndCancellationReachesGrandchildren) {
  Scope scope(task);
  std::string grandchild;
  scope.spawn("parent", [&](Task& parent) -> Status {
    Scope inner(parent);
    inner.spawn("grandchild", [&](Task& child) -> Status {
      Status status = wait_for_ever(child);
      grandchild = outcome(status);
      return status;
    });
    return inner.join(parent);
  });
  TRY(task.sleep(1_ms));
  scope.cancel();
  TRY(scope.join(task));
  EXPECT_EQ(grandchild, to_string(Code::Cancelled));
  return {};
}

CONTRACT(Scopes, AScopeOfAScopeIsCancelledWithIt) {
  Scope outer(task);
  Scope inner(outer);
  inner.spawn("patient", wait_for_ever);
  TRY(task.yield());
  outer.cancel();
  EXPECT_TRUE(inner.cancelled());
  TRY(inner.join(task));
  return outer.join(task);
}

CONTRACT(Scopes, CancellingAnInnerScopeLeavesTheOuterAlone) {
  Scope outer(task);
  Scope inner(outer);
  inner.cancel();
  EXPECT_FALSE(outer.cancelled());
  EXPECT_FALSE(task.cancelled());
  return outer.join(task);
}

CONTRACT(Scopes, AnErrorOfAnInnerScopePassesThroughJoin) {
  Scope outer(task);
  outer.spawn("middle", [](Task& middle) -> Status {
    Scope inner(middle);
    inner.spawn("failing", [](Task&) -> Status { return Error(Code::NoSpace, "full"); });
    return inner.join(middle);
  });
  EXPECT_TRUE(outer.join(task).is(Code::NoSpace));
  return {};
}

CONTRACT(Scopes, AChildMaySpawnIntoItsOwnScope) {
  Scope scope(task);
  int count = 0;
  std::function<Status(Task&)> body = [&](Task&) -> Status {
    if (++count < 10) scope.spawn("next", body);
    return {};
  };
  scope.spawn("first", body);
  TRY(scope.join(task));
  EXPECT_EQ(count, 10);
  return {};
}

CONTRACT(Scopes, JoinWhoseDeadlinePassesStopsTheChildrenAndSaysSo) {
  Scope scope(task);
  bool ended = false;
  scope.spawn("patient", [&](Task& child) -> Status {
    Status status = wait_for_ever(child);
    ended = true;
    return status;
  });
  {
    Deadline soon(task, 2_ms);
    EXPECT_TRUE(scope.join(task).is(Code::TimedOut));
  }
  EXPECT_TRUE(ended);
  return task.yield();
}

CONTRACT(Scopes, TwoTasksMayJoinOneScope) {
  Scope work(task);
  Scope joiners(task);
  work.spawn("worker", [](Task& worker) { return worker.sleep(1_ms); });
  int joined = 0;
  for (int i = 0; i < 2; i++)
    joiners.spawn("joiner", [&](Task& joiner) -> Status {
      TRY(work.join(joiner));
      joined++;
      return {};
    });
  TRY(joiners.join(task));
  EXPECT_EQ(joined, 2);
  return {};
}

CONTRACT(Scopes, ADetachedOneOutlastsTheCancellationOfItsTask) {
  Scope outer(task);
  bool served = false;
  outer.spawn("owner", [&](Task& owner) -> Status {
    Scope serving(owner, Scope::Detached{});
    Channel<int> requests(1);
    serving.spawn("server", [&](Task& server) -> Status {
      TRY(requests.receive(server));
      served = true;
      return wait_for_ever(server);
    });
    EXPECT_TRUE(wait_for_ever(owner).is(Code::Cancelled));
    EXPECT_FALSE(serving.cancelled());
    {
      Shield shield(owner);
      TRY(requests.send(owner, 1));
      TRY(owner.sleep(1_ms));
    }
    EXPECT_TRUE(served);
    return serving.stop(owner);
  });
  TRY(task.sleep(1_ms));
  TRY(outer.stop(task));
  EXPECT_TRUE(served);
  return {};
}

CONTRACT(Scopes, WhatABodyCapturedIsReleasedBeforeJoinReturns) {
  Scope scope(task);
  auto owned = std::make_shared<int>(1);
  scope.spawn("holder", [owned](Task& holder) { return holder.yield(); });
  EXPECT_EQ(owned.use_count(), 2);
  TRY(scope.join(task));
  EXPECT_EQ(owned.use_count(), 1);
  return {};
}

CONTRACT(Cancellation, EndsAWait) {
  Scope scope(task);
  std::string result;
  scope.spawn("patient", [&](Task& child) -> Status {
    result = outcome(wait_for_ever(child));
    EXPECT_TRUE(child.cancelled());
    return {};
  });
  TRY(task.sleep(1_ms));
  scope.cancel();
  TRY(scope.join(task));
  EXPECT_EQ(result, to_string(Code::Cancelled));
  return {};
}

CONTRACT(Cancellation, EndsASleepEarly) {
  Scope scope(task);
  MonotonicTime begin = env.now();
  scope.spawn("sleeper", [&](Task& child) -> Status {
    EXPECT_TRUE(child.sleep(Duration::seconds(3600)).is(Code::Cancelled));
    return {};
  });
  TRY(task.sleep(1_ms));
  TRY(scope.stop(task));
  EXPECT_LT(env.now() - begin, Duration::seconds(60));
  return {};
}

CONTRACT(Cancellation, EveryLaterWaitFailsToo) {
  Scope scope(task);
  scope.cancel();
  scope.spawn("late", [](Task& child) -> Status {
    EXPECT_TRUE(child.yield().is(Code::Cancelled));
    EXPECT_TRUE(child.sleep(1_ms).is(Code::Cancelled));
    EXPECT_TRUE(wait_for_ever(child).is(Code::Cancelled));
    return {};
  });
  return scope.join(task);
}

CONTRACT(Cancellation, AWakeThatCameFirstWins) {
  Scope scope(task);
  Waiter* registered = nullptr;
  std::string result;
  scope.spawn("patient", [&](Task& child) -> Status {
    Waiter waiter(child);
    registered = &waiter;
    result = outcome(child.wait(waiter));
    return {};
  });
  TRY(task.sleep(1_ms));
  registered->wake();
  scope.cancel();
  TRY(scope.join(task));
  EXPECT_EQ(result, "ok");
  return {};
}

CONTRACT(Cancellation, IsIdempotent) {
  Scope scope(task);
  scope.spawn("patient", wait_for_ever);
  TRY(task.yield());
  scope.cancel();
  scope.cancel();
  return scope.join(task);
}

CONTRACT(Cancellation, OfItsOwnScopeIsSeenByTheTaskAtOnce) {
  Scope scope(task);
  scope.spawn("self", [&](Task& self) -> Status {
    EXPECT_FALSE(self.cancelled());
    scope.cancel();
    EXPECT_TRUE(self.cancelled());
    EXPECT_TRUE(self.yield().is(Code::Cancelled));
    return {};
  });
  return scope.join(task);
}

CONTRACT(Deadlines, EndAWait) {
  MonotonicTime begin = env.now();
  Deadline soon(task, 5_ms);
  EXPECT_FALSE(soon.passed());
  EXPECT_TRUE(wait_for_ever(task).is(Code::TimedOut));
  EXPECT_TRUE(soon.passed());
  EXPECT_GE(env.now() - begin, 5_ms);
  return {};
}

CONTRACT(Deadlines, EndASleepThatWouldLastLonger) {
  MonotonicTime begin = env.now();
  Deadline soon(task, 5_ms);
  EXPECT_TRUE(task.sleep(Duration::seconds(3600)).is(Code::TimedOut));
  EXPECT_GE(env.now() - begin, 5_ms);
  EXPECT_LT(env.now() - begin, Duration::seconds(60));
  return {};
}

CONTRACT(Deadlines, LeaveAShorterSleepAlone) {
  Deadline later(task, Duration::seconds(3600));
  return task.sleep(1_ms);
}

CONTRACT(Deadlines, TheNearestOneCounts) {
  Deadline near(task, 3_ms);
  MonotonicTime limit = task.deadline();
  {
    Deadline far(task, Duration::seconds(3600));
    EXPECT_EQ(task.deadline(), limit);
    EXPECT_TRUE(wait_for_ever(task).is(Code::TimedOut));
  }
  EXPECT_EQ(task.deadline(), limit);
  return {};
}

CONTRACT(Deadlines, EndWithTheirBlock) {
  MonotonicTime outer = task.deadline();
  {
    Deadline soon(task, 1_ms);
    EXPECT_LT(task.deadline(), outer);
  }
  EXPECT_EQ(task.deadline(), outer);
  return task.sleep(3_ms);
}

CONTRACT(Deadlines, AWakeInTimeWins) {
  Scope scope(task);
  Waiter waiter(task);
  scope.spawn("waker", [&](Task& waker) -> Status {
    TRY(waker.yield());
    waiter.wake();
    return {};
  });
  {
    Deadline later(task, Duration::seconds(60));
    TRY(task.wait(waiter));
  }
  return scope.join(task);
}

CONTRACT(Deadlines, OneThatHasPassedFailsTheNextWaitAtOnce) {
  Deadline past(task, env.now() - 1_ms);
  EXPECT_TRUE(past.passed());
  EXPECT_TRUE(wait_for_ever(task).is(Code::TimedOut));
  EXPECT_TRUE(task.sleep(1_ms).is(Code::TimedOut));
  return {};
}

CONTRACT(Deadlines, AreNotInheritedByChildren) {
  Scope scope(task);
  {
    Deadline soon(task, 1_ms);
    scope.spawn("child", [](Task& child) { return child.sleep(3_ms); });
  }
  return scope.join(task);
}

CONTRACT(Shields, HideCancellation) {
  Scope scope(task);
  scope.spawn("tidy", [&](Task& tidy) -> Status {
    EXPECT_TRUE(wait_for_ever(tidy).is(Code::Cancelled));
    {
      Shield shield(tidy);
      EXPECT_FALSE(tidy.cancelled());
      TRY(tidy.sleep(1_ms));
      TRY(tidy.yield());
    }
    EXPECT_TRUE(tidy.cancelled());
    EXPECT_TRUE(tidy.yield().is(Code::Cancelled));
    return {};
  });
  TRY(task.yield());
  return scope.stop(task);
}

CONTRACT(Shields, Nest) {
  Scope scope(task);
  scope.cancel();
  scope.spawn("tidy", [](Task& tidy) -> Status {
    Shield outer(tidy);
    {
      Shield inner(tidy);
      TRY(tidy.yield());
    }
    return tidy.yield();
  });
  return scope.join(task);
}

CONTRACT(Shields, DoNotHideDeadlines) {
  Shield shield(task);
  Deadline soon(task, 2_ms);
  EXPECT_TRUE(wait_for_ever(task).is(Code::TimedOut));
  return {};
}

CONTRACT(Shields, CancellationThatComesMeanwhileEndsNoWait) {
  Scope scope(task);
  Waiter* registered = nullptr;
  scope.spawn("tidy", [&](Task& tidy) -> Status {
    Shield shield(tidy);
    Waiter waiter(tidy);
    registered = &waiter;
    return tidy.wait(waiter);
  });
  TRY(task.sleep(1_ms));
  scope.cancel();
  TRY(task.sleep(1_ms));
  EXPECT_EQ(scope.size(), 1u);
  registered->wake();
  return scope.join(task);
}

CONTRACT(Shields, UninterruptibleHidesDeadlinesToo) {
  Scope scope(task);
  scope.cancel();
  scope.spawn("tidy", [](Task& tidy) -> Status {
    Deadline past(tidy, tidy.env().now() - 1_ms);
    {
      Uninterruptible to_the_end(tidy);
      TRY(tidy.sleep(1_ms));
    }
    EXPECT_FALSE(tidy.sleep(1_ms).ok());
    return {};
  });
  return scope.join(task);
}

}  // namespace
}  // namespace argon::contract
