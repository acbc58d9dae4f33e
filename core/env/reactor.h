// Reactor: the loop in which everything of one core runs. The lowest part of the seam.
//
// Invariants: all of a reactor's code runs on one thread; now() moves only between runs, so time
// stands still for as long as a Runnable runs. Which of the ready Runnables runs next is the
// reactor's choice: the production loop takes them in order, the simulator in a drawn order.

#pragma once

#include "core/base/time.h"

namespace argon {

// Work for the loop. Borrowed by the reactor from post() until run() begins.
class Runnable {
 public:
  virtual void run() = 0;

 protected:
  virtual ~Runnable() = default;

 private:
  friend class ReadyQueue;
  Runnable* next_ = nullptr;
};

// First in, first out, intrusive: no allocation. Offered to implementations of Reactor.
class ReadyQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  void push(Runnable& r) {
    r.next_ = nullptr;
    if (tail_ != nullptr)
      tail_->next_ = &r;
    else
      head_ = &r;
    tail_ = &r;
  }
  // REQUIRES: not empty.
  Runnable& pop() {
    Runnable* r = head_;
    head_ = r->next_;
    if (head_ == nullptr) tail_ = nullptr;
    return *r;
  }

 private:
  Runnable* head_ = nullptr;
  Runnable* tail_ = nullptr;
};

// A point in time at which fire() runs, once. Owned by the user, who disarms it before it dies.
class Timer {
 public:
  virtual void fire() = 0;

  bool armed() const { return heap_index_ != kUnarmed; }
  MonotonicTime due() const { return due_; }

 protected:
  virtual ~Timer() = default;

 private:
  friend class TimerHeap;
  static constexpr unsigned kUnarmed = ~0u;
  MonotonicTime due_;
  unsigned heap_index_ = kUnarmed;
  unsigned long long sequence_ = 0;
};

class Reactor {
 public:
  virtual ~Reactor() = default;

  virtual MonotonicTime now() const = 0;
  // Runs r later in this loop, once. REQUIRES: r is not posted already.
  virtual void post(Runnable& r) = 0;
  // Timers due at the same time fire in the order they were armed. REQUIRES: timer is not armed.
  virtual void arm(Timer& timer, MonotonicTime due) = 0;
  // No effect on a timer that is not armed.
  virtual void disarm(Timer& timer) = 0;
};

}  // namespace argon
