// Channels, mutexes, semaphores, watermarks, wait lists.

#include "core/env/contract/contract.h"

namespace argon::contract {
namespace {

using namespace literals;

struct Channels : Contract {};
struct Mutexes : Contract {};
struct Semaphores : Contract {};
struct Watermarks : Contract {};
struct WaitLists : Contract {};

CONTRACT(Channels, KeepTheOrderOfOneSender) {
  Channel<int> channel(3);
  Scope scope(task);
  scope.spawn("sender", [&](Task& sender) -> Status {
    for (int i = 0; i < 100; i++) TRY(channel.send(sender, i));
    channel.close();
    return {};
  });
  for (int i = 0; i < 100; i++) {
    TRY_ASSIGN(int got, channel.receive(task));
    EXPECT_EQ(got, i);
  }
  EXPECT_TRUE(channel.receive(task).is(Code::Disconnected));
  return scope.join(task);
}

CONTRACT(Channels, AFullOneMakesTheSenderWait) {
  Channel<int> channel(2);
  Scope scope(task);
  int sent = 0;
  scope.spawn("sender", [&](Task& sender) -> Status {
    for (int i = 0; i < 5; i++) {
      TRY(channel.send(sender, i));
      sent++;
    }
    return {};
  });
  TRY(task.sleep(2_ms));
  EXPECT_EQ(sent, 2);
  EXPECT_EQ(channel.size(), 2u);
  for (int i = 0; i < 5; i++) TRY(channel.receive(task));
  TRY(scope.join(task));
  EXPECT_EQ(sent, 5);
  return {};
}

CONTRACT(Channels, TrySendRefusesWhenFullOrClosed) {
  Channel<int> channel(1);
  EXPECT_TRUE(channel.try_send(1));
  EXPECT_FALSE(channel.try_send(2));
  int out = 0;
  EXPECT_TRUE(channel.try_receive(out));
  EXPECT_EQ(out, 1);
  EXPECT_FALSE(channel.try_receive(out));
  channel.close();
  EXPECT_FALSE(channel.try_send(3));
  return {};
}

CONTRACT(Channels, WhatWasSentBeforeCloseIsStillReceived) {
  Channel<std::string> channel(4);
  TRY(channel.send(task, "one"));
  TRY(channel.send(task, "two"));
  channel.close();
  EXPECT_TRUE(channel.closed());
  TRY_ASSIGN(std::string one, channel.receive(task));
  TRY_ASSIGN(std::string two, channel.receive(task));
  EXPECT_EQ(one + two, "onetwo");
  EXPECT_TRUE(channel.receive(task).is(Code::Disconnected));
  EXPECT_TRUE(channel.send(task, "three").is(Code::Disconnected));
  return {};
}

CONTRACT(Channels, CloseEndsWaitsOnBothSides) {
  Channel<int> full(1);
  Channel<int> empty(1);
  TRY(full.send(task, 1));
  Scope scope(task);
  int ended = 0;
  scope.spawn("sender", [&](Task& t) -> Status {
    EXPECT_TRUE(full.send(t, 2).is(Code::Disconnected));
    ended++;
    return {};
  });
  scope.spawn("receiver", [&](Task& t) -> Status {
    EXPECT_TRUE(empty.receive(t).is(Code::Disconnected));
    ended++;
    return {};
  });
  TRY(task.sleep(1_ms));
  full.close();
  empty.close();
  TRY(scope.join(task));
  EXPECT_EQ(ended, 2);
  return {};
}

CONTRACT(Channels, ManySendersAndReceiversLoseAndDoubleNothing) {
  Channel<int> channel(4);
  Scope senders(task);
  Scope receivers(task);
  int64_t sum = 0;
  int count = 0;
  for (int s = 0; s < 8; s++)
    senders.spawn("sender", [&channel, s](Task& t) -> Status {
      for (int i = 0; i < 100; i++) TRY(channel.send(t, s * 100 + i));
      return {};
    });
  for (int r = 0; r < 5; r++)
    receivers.spawn("receiver", [&](Task& t) -> Status {
      for (;;) {
        Result<int> got = channel.receive(t);
        if (got.is(Code::Disconnected)) return {};
        TRY(got);
        sum += *got;
        count++;
        if (count % 7 == 0) TRY(t.yield());
      }
    });
  TRY(senders.join(task));
  channel.close();
  TRY(receivers.join(task));
  EXPECT_EQ(count, 800);
  EXPECT_EQ(sum, 799 * 800 / 2);
  return {};
}

CONTRACT(Channels, ACancelledReceiverTakesNoItem) {
  Channel<int> channel(1);
  Scope scope(task);
  scope.spawn("receiver", [&](Task& t) -> Status {
    EXPECT_TRUE(channel.receive(t).is(Code::Cancelled));
    return {};
  });
  TRY(task.sleep(1_ms));
  TRY(scope.stop(task));
  TRY(channel.send(task, 7));
  TRY_ASSIGN(int got, channel.receive(task));
  EXPECT_EQ(got, 7);
  return {};
}

CONTRACT(Channels, AnItemSentToACancelledReceiverReachesTheNext) {
  Channel<int> channel(1);
  Scope first(task);
  Scope second(task);
  int got = 0;
  first.spawn("first", [&](Task& t) -> Status {
    Result<int> item = channel.receive(t);
    if (item.ok()) got = *item;
    return {};
  });
  TRY(task.sleep(1_ms));
  second.spawn("second", [&](Task& t) -> Status {
    Result<int> item = channel.receive(t);
    if (item.ok()) got = *item;
    return {};
  });
  TRY(task.sleep(1_ms));
  EXPECT_TRUE(channel.try_send(9));
  first.cancel();
  TRY(first.join(task));
  channel.close();
  TRY(second.join(task));
  EXPECT_EQ(got, 9);
  return {};
}

CONTRACT(Channels, ReceiveTimesOut) {
  Channel<int> channel(1);
  Deadline soon(task, 2_ms);
  EXPECT_TRUE(channel.receive(task).is(Code::TimedOut));
  return {};
}

CONTRACT(Channels, SendTimesOutAndDropsItsItem) {
  Channel<int> channel(1);
  TRY(channel.send(task, 1));
  {
    Deadline soon(task, 2_ms);
    EXPECT_TRUE(channel.send(task, 2).is(Code::TimedOut));
  }
  EXPECT_EQ(channel.size(), 1u);
  TRY_ASSIGN(int got, channel.receive(task));
  EXPECT_EQ(got, 1);
  return {};
}

CONTRACT(Channels, CarryThingsThatCanOnlyBeMoved) {
  Channel<std::unique_ptr<int>> channel(1);
  TRY(channel.send(task, std::make_unique<int>(5)));
  TRY_ASSIGN(std::unique_ptr<int> got, channel.receive(task));
  EXPECT_EQ(*got, 5);
  return {};
}

CONTRACT(Mutexes, LetOneInAtATime) {
  Mutex mutex;
  Scope scope(task);
  int inside = 0;
  for (int i = 0; i < 10; i++)
    scope.spawn("worker", [&](Task& t) -> Status {
      Lock lock;
      TRY(lock.acquire(t, mutex));
      EXPECT_EQ(inside++, 0);
      TRY(t.yield());
      TRY(t.yield());
      inside--;
      return {};
    });
  TRY(scope.join(task));
  EXPECT_FALSE(mutex.locked());
  return {};
}

CONTRACT(Mutexes, AreHandedOverInOrderOfArrival) {
  Mutex mutex;
  TRY(mutex.lock(task));
  Scope scope(task);
  std::vector<int> order;
  for (int i = 0; i < 5; i++) {
    scope.spawn("waiter", [&, i](Task& t) -> Status {
      Lock lock;
      TRY(lock.acquire(t, mutex));
      order.push_back(i);
      return t.yield();
    });
    TRY(task.sleep(1_ms));
  }
  mutex.unlock();
  TRY(scope.join(task));
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
  return {};
}

CONTRACT(Mutexes, ACancelledWaiterLeavesTheLine) {
  Mutex mutex;
  TRY(mutex.lock(task));
  Scope scope(task);
  scope.spawn("waiter", [&](Task& t) -> Status {
    EXPECT_TRUE(mutex.lock(t).is(Code::Cancelled));
    return {};
  });
  TRY(task.sleep(1_ms));
  TRY(scope.stop(task));
  mutex.unlock();
  EXPECT_FALSE(mutex.locked());
  return {};
}

CONTRACT(Mutexes, OneHandedOverBeforeCancellationIsOwned) {
  Mutex mutex;
  TRY(mutex.lock(task));
  Scope scope(task);
  bool owned = false;
  scope.spawn("waiter", [&](Task& t) -> Status {
    Lock lock;
    TRY(lock.acquire(t, mutex));
    owned = true;
    return {};
  });
  TRY(task.sleep(1_ms));
  mutex.unlock();
  scope.cancel();
  TRY(scope.join(task));
  EXPECT_TRUE(owned);
  EXPECT_FALSE(mutex.locked());
  return {};
}

CONTRACT(Mutexes, WaitingForOneTimesOut) {
  Mutex mutex;
  TRY(mutex.lock(task));
  Scope scope(task);
  scope.spawn("waiter", [&](Task& t) -> Status {
    Deadline soon(t, 2_ms);
    EXPECT_TRUE(mutex.lock(t).is(Code::TimedOut));
    return {};
  });
  TRY(scope.join(task));
  mutex.unlock();
  return {};
}

CONTRACT(Mutexes, ALockReleasesEarlyWhenAsked) {
  Mutex mutex;
  Lock lock;
  TRY(lock.acquire(task, mutex));
  EXPECT_TRUE(mutex.locked());
  lock.release();
  EXPECT_FALSE(mutex.locked());
  lock.release();
  return lock.acquire(task, mutex);
}

CONTRACT(Semaphores, BoundHowMuchRunsAtOnce) {
  Semaphore semaphore(3);
  Scope scope(task);
  int inside = 0;
  int most = 0;
  for (int i = 0; i < 12; i++)
    scope.spawn("worker", [&](Task& t) -> Status {
      TRY(semaphore.acquire(t));
      most = std::max(most, ++inside);
      Status slept = t.sleep(1_ms);
      inside--;
      semaphore.release();
      return slept;
    });
  TRY(scope.join(task));
  EXPECT_EQ(most, 3);
  EXPECT_EQ(semaphore.available(), 3u);
  return {};
}

CONTRACT(Semaphores, ACancelledWaiterCostsNoPermit) {
  Semaphore semaphore(1);
  TRY(semaphore.acquire(task));
  Scope scope(task);
  scope.spawn("waiter", [&](Task& t) -> Status {
    EXPECT_TRUE(semaphore.acquire(t).is(Code::Cancelled));
    return {};
  });
  TRY(task.sleep(1_ms));
  TRY(scope.stop(task));
  semaphore.release();
  EXPECT_EQ(semaphore.available(), 1u);
  return {};
}

CONTRACT(Watermarks, AReachedTargetDoesNotWait) {
  Watermark<Lsn> mark(Lsn(100));
  TRY(mark.wait_for(task, Lsn(100)));
  TRY(mark.wait_for(task, Lsn(50)));
  EXPECT_EQ(mark.value(), Lsn(100));
  return {};
}

CONTRACT(Watermarks, AdvanceWakesThoseItReached) {
  Watermark<Lsn> mark(Lsn(0));
  Scope scope(task);
  std::vector<uint64_t> reached;
  for (uint64_t target : {30u, 10u, 20u})
    scope.spawn("waiter", [&, target](Task& t) -> Status {
      TRY(mark.wait_for(t, Lsn(target)));
      reached.push_back(target);
      return {};
    });
  TRY(task.sleep(1_ms));
  mark.advance(Lsn(20));
  TRY(task.sleep(1_ms));
  EXPECT_EQ(reached.size(), 2u);
  EXPECT_EQ(scope.size(), 1u);
  mark.advance(Lsn(40));
  TRY(scope.join(task));
  EXPECT_EQ(reached.back(), 30u);
  return {};
}

CONTRACT(Watermarks, CloseEndsWaitsForMore) {
  Watermark<Lsn> mark(Lsn(10));
  Scope scope(task);
  int ended = 0;
  for (uint64_t target : {20u, 30u})
    scope.spawn("waiter", [&, target](Task& t) -> Status {
      Status waited = mark.wait_for(t, Lsn(target));
      EXPECT_TRUE(waited.is(Code::Unavailable));
      ended++;
      return {};
    });
  TRY(task.sleep(1_ms));
  mark.close(Error(Code::Unavailable, "nothing more comes"));
  TRY(scope.join(task));
  EXPECT_EQ(ended, 2);
  EXPECT_TRUE(mark.wait_for(task, Lsn(11)).is(Code::Unavailable));
  return mark.wait_for(task, Lsn(10));
}

CONTRACT(Watermarks, NeverGoBack) {
  Watermark<Lsn> mark(Lsn(10));
  mark.advance(Lsn(5));
  EXPECT_EQ(mark.value(), Lsn(10));
  return {};
}

CONTRACT(Watermarks, WaitingTimesOutAndLeavesNothingBehind) {
  Watermark<Lsn> mark(Lsn(0));
  {
    Deadline soon(task, 2_ms);
    EXPECT_TRUE(mark.wait_for(task, Lsn(10)).is(Code::TimedOut));
  }
  mark.advance(Lsn(20));
  return mark.wait_for(task, Lsn(20));
}

CONTRACT(Watermarks, ACancelledWaiterLeaves) {
  Watermark<Lsn> mark(Lsn(0));
  Scope scope(task);
  scope.spawn("waiter", [&](Task& t) -> Status {
    EXPECT_TRUE(mark.wait_for(t, Lsn(10)).is(Code::Cancelled));
    return {};
  });
  TRY(task.sleep(1_ms));
  TRY(scope.stop(task));
  mark.advance(Lsn(20));
  return {};
}

CONTRACT(WaitLists, NotifyOneWakesTheLongestWaiting) {
  WaitList list;
  Scope scope(task);
  std::vector<int> order;
  for (int i = 0; i < 3; i++) {
    scope.spawn("waiter", [&, i](Task& t) -> Status {
      TRY(list.wait(t));
      order.push_back(i);
      return {};
    });
    TRY(task.sleep(1_ms));
  }
  for (int i = 0; i < 3; i++) {
    EXPECT_TRUE(list.notify_one());
    TRY(task.sleep(1_ms));
  }
  EXPECT_FALSE(list.notify_one());
  EXPECT_EQ(order, (std::vector{0, 1, 2}));
  return scope.join(task);
}

CONTRACT(WaitLists, NotifyAllWakesEverybody) {
  WaitList list;
  Scope scope(task);
  for (int i = 0; i < 10; i++) scope.spawn("waiter", [&](Task& t) { return list.wait(t); });
  TRY(task.sleep(1_ms));
  list.notify_all();
  EXPECT_TRUE(list.empty());
  return scope.join(task);
}

CONTRACT(WaitLists, ANotificationIsNotLostToACancelledTask) {
  WaitList list;
  Scope scope(task);
  std::string result;
  scope.spawn("waiter", [&](Task& t) -> Status {
    result = outcome(list.wait(t));
    return {};
  });
  TRY(task.sleep(1_ms));
  EXPECT_TRUE(list.notify_one());
  scope.cancel();
  TRY(scope.join(task));
  EXPECT_EQ(result, "ok");
  return {};
}

CONTRACT(WaitLists, ATimedOutTaskLeavesTheList) {
  WaitList list;
  {
    Deadline soon(task, 1_ms);
    EXPECT_TRUE(list.wait(task).is(Code::TimedOut));
  }
  EXPECT_TRUE(list.empty());
  return {};
}

}  // namespace
}  // namespace argon::contract
