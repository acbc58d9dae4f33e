// Task: the right to suspend. Every function that may wait takes a Task& first.
//
// A function without one cannot suspend, so what it asserts holds to its end: nothing else of the
// reactor runs meanwhile. Tasks are stackful fibers (core/fiber implements this interface).
//
// Power loss: when the world kills a node, every wait in progress throws NodeKilled, newest fiber
// first. Product code neither catches it nor suspends in a destructor.

#pragma once

#include "core/base/result.h"
#include "core/base/time.h"

namespace argon {

class Env;
class Task;

// Thrown out of waits when the node has lost power. Only core/fiber catches it.
struct NodeKilled {};

// A one-shot event that one task waits for. It lives on the waiting task's stack, or longer.
class Waiter {
 public:
  explicit Waiter(Task& task) : task_(task) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Lets the task go on, soon. Idempotent; never suspends, never runs the task at once.
  void wake();
  bool woken() const { return woken_; }
  Task& task() const { return task_; }

 private:
  Task& task_;
  bool woken_ = false;
};

class Task {
 public:
  virtual Env& env() = 0;

  // Suspends until the waiter is woken. Errors: Cancelled, TimedOut (the task's deadline). After an
  // error the caller withdraws the waiter from wherever it is registered. A waiter woken before the
  // task gets to run wins over cancellation and deadline.
  virtual Status wait(Waiter& waiter) = 0;
  // Lets other ready work run first. Errors: Cancelled.
  virtual Status yield() = 0;
  // Errors: Cancelled, TimedOut (the deadline comes before the end of the sleep).
  virtual Status sleep(Duration duration) = 0;

  // True once somebody cancelled the task; waits then fail, until a Shield lifts that.
  virtual bool cancelled() const = 0;
  virtual MonotonicTime deadline() const = 0;
  virtual std::string_view name() const = 0;

 protected:
  virtual ~Task() = default;

 private:
  friend class Waiter;
  friend class Deadline;
  friend class Shield;
  friend class Uninterruptible;
  virtual void woken(Waiter& waiter) = 0;
  virtual void set_deadline(MonotonicTime deadline) = 0;
  virtual void add_shield(int by) = 0;
};

// While it lives, the task's waits end no later than this; deadlines nest, the nearest one counts.
class Deadline {
 public:
  Deadline(Task& task, Duration from_now);
  Deadline(Task& task, MonotonicTime at);
  ~Deadline() { task_.set_deadline(outer_); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  bool passed() const;

 private:
  Task& task_;
  MonotonicTime outer_;
};

// While it lives, the task's waits ignore cancellation (not deadlines): for the last steps of an
// orderly stop. Pair it with a Deadline.
class Shield {
 public:
  explicit Shield(Task& task) : task_(task) { task_.add_shield(1); }
  ~Shield() { task_.add_shield(-1); }
  Shield(const Shield&) = delete;
  Shield& operator=(const Shield&) = delete;

 private:
  Task& task_;
};

// While it lives, the task's waits end by their waiters alone: neither cancellation nor a deadline
// ends them. For a world whose thread uses the task's memory, and for the end of a scope. Whoever
// holds one sees to it that the wait ends soon.
class Uninterruptible {
 public:
  explicit Uninterruptible(Task& task) : shield_(task), task_(task), outer_(task.deadline()) {
    task_.set_deadline(MonotonicTime::max());
  }
  ~Uninterruptible() { task_.set_deadline(outer_); }
  Uninterruptible(const Uninterruptible&) = delete;
  Uninterruptible& operator=(const Uninterruptible&) = delete;

 private:
  Shield shield_;
  Task& task_;
  MonotonicTime outer_;
};

inline void Waiter::wake() {
  if (woken_) return;
  woken_ = true;
  task_.woken(*this);
}

}  // namespace argon
