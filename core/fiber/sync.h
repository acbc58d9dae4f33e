// What fibers of one reactor use to meet: Mutex, Watermark, Channel, Semaphore.
//
// None of them is for use between reactors. All waits are first come, first served, and end with
// Cancelled or TimedOut as any wait of a Task.

#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "core/fiber/wait_list.h"

namespace argon {

class Mutex {
 public:
  Status lock(Task& task) {
    if (!locked_) {
      locked_ = true;
      return {};
    }
    return waiters_.wait(task);
  }
  // Hands the lock to the task that waited longest. REQUIRES: locked.
  void unlock() {
    CHECK(locked_);
    if (!waiters_.notify_one()) locked_ = false;
  }
  bool locked() const { return locked_; }

 private:
  bool locked_ = false;
  WaitList waiters_;
};

// Unlocks at the end of the block. Get it by: Lock lock; TRY(lock.acquire(task, mutex));
class Lock {
 public:
  Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { release(); }
  Status acquire(Task& task, Mutex& mutex) {
    CHECK(mutex_ == nullptr);
    TRY(mutex.lock(task));
    mutex_ = &mutex;
    return {};
  }
  void release() {
    if (mutex_ != nullptr) mutex_->unlock();
    mutex_ = nullptr;
  }

 private:
  Mutex* mutex_ = nullptr;
};

// A value that only grows, and tasks that wait until it reached something (an LSN, mostly).
template <typename T>
class Watermark {
 public:
  explicit Watermark(T initial = T()) : value_(initial) {}

  const T& value() const { return value_; }
  // No effect where the value is that high already.
  void advance(T to) {
    if (!(value_ < to)) return;
    value_ = to;
    while (!waiters_.empty() && !(value_ < waiters_.begin()->first)) {
      Waiter* waiter = waiters_.begin()->second;
      waiters_.erase(waiters_.begin());
      waiter->wake();
    }
  }
  // It will not grow any more: whoever waits for more, now or later, gets this error.
  void close(Error why) {
    closed_ = std::move(why);
    for (auto& [target, waiter] : std::exchange(waiters_, {})) waiter->wake();
  }
  // Ok once value() >= target. Errors: close()'s, the task's.
  Status wait_for(Task& task, T target) {
    if (!(value_ < target)) return {};
    if (closed_) return *closed_;
    struct Registered {
      ~Registered() {
        if (!waiter.woken()) map.erase(at);
      }
      std::multimap<T, Waiter*>& map;
      Waiter& waiter;
      typename std::multimap<T, Waiter*>::iterator at;
    };
    Waiter waiter(task);
    Registered registered{waiters_, waiter, waiters_.emplace(target, &waiter)};
    TRY(task.wait(waiter));
    return value_ < target ? Status(*closed_) : Status();
  }

 private:
  T value_;
  std::optional<Error> closed_;
  std::multimap<T, Waiter*> waiters_;
};

// A bounded queue. After close() nothing can be sent; what was sent can still be received.
template <typename T>
class Channel {
 public:
  explicit Channel(size_t capacity) : capacity_(capacity) { CHECK(capacity > 0); }

  // Waits for room. Errors: Disconnected (closed), Cancelled, TimedOut; the item is then dropped.
  Status send(Task& task, T item) {
    while (!closed_ && items_.size() >= capacity_) TRY(senders_.wait(task));
    if (closed_) return Error(Code::Disconnected, "the channel is closed");
    push(std::move(item));
    return {};
  }
  // False where it is full or closed.
  bool try_send(T item) {
    if (closed_ || items_.size() >= capacity_) return false;
    push(std::move(item));
    return true;
  }
  // Waits for an item. Errors: Disconnected (closed and empty), Cancelled, TimedOut.
  Result<T> receive(Task& task) {
    while (items_.empty()) {
      if (closed_) return Error(Code::Disconnected, "the channel is closed");
      TRY(receivers_.wait(task));
    }
    return pop();
  }
  // False where it is empty.
  bool try_receive(T& out) {
    if (items_.empty()) return false;
    out = pop();
    return true;
  }
  void close() {
    closed_ = true;
    senders_.notify_all();
    receivers_.notify_all();
  }
  bool closed() const { return closed_; }
  size_t size() const { return items_.size(); }

 private:
  void push(T item) {
    items_.push_back(std::move(item));
    receivers_.notify_one();
  }
  T pop() {
    T item = std::move(items_.front());
    items_.pop_front();
    senders_.notify_one();
    // A receiver that was woken may find another one was quicker; whoever is left is woken in turn.
    if (!items_.empty()) receivers_.notify_one();
    return item;
  }

  size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  WaitList senders_;
  WaitList receivers_;
};

// Permits, for bounding how much is done at once.
class Semaphore {
 public:
  explicit Semaphore(size_t permits) : permits_(permits) {}
  Status acquire(Task& task) {
    if (permits_ > 0) {
      permits_--;
      return {};
    }
    return waiters_.wait(task);
  }
  void release() {
    if (!waiters_.notify_one()) permits_++;
  }
  size_t available() const { return permits_; }

 private:
  size_t permits_;
  WaitList waiters_;
};

}  // namespace argon
