// PosixReactor: the loop of one core, over epoll.
//
// Invariants: everything but post_from_thread() is called on the loop's own thread. One turn of the
// loop polls descriptors, reads the clock, fires due timers, and runs at most kBatch ready Runnables;
// now() moves between turns only. Descriptors are watched edge-triggered: try the call first, wait
// only after EAGAIN.

#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "core/env/reactor.h"
#include "core/env/task.h"
#include "core/env/timer_heap.h"
#include "daemons/posix/fd.h"

struct epoll_event;

namespace argon::posix {

class PosixReactor;

// One descriptor watched by the loop. Owned by a stream, listener or process on the loop's thread.
class IoWatch {
 public:
  IoWatch(PosixReactor& reactor, int fd) : reactor_(reactor), fd_(fd) {}
  ~IoWatch() { stop(); }
  IoWatch(const IoWatch&) = delete;
  IoWatch& operator=(const IoWatch&) = delete;

  // Suspends until the descriptor may be readable (writable), or stop(). Spurious returns happen.
  // One task each at a time. Errors: Cancelled, TimedOut; Io where the loop cannot watch it.
  Status wait_readable(Task& task);
  Status wait_writable(Task& task);
  // Forgets the descriptor, which is then free to be closed, and wakes who waits.
  void stop();

 private:
  friend class PosixReactor;
  Status wait(Task& task, Waiter*& slot, unsigned events);
  void ready(unsigned events);
  // 0 or errno.
  int watch(unsigned events);

  PosixReactor& reactor_;
  int fd_;
  unsigned watched_ = 0;  // what the loop is told of; 0: not registered
  Waiter* reader_ = nullptr;
  Waiter* writer_ = nullptr;
};

class PosixReactor final : public Reactor {
 public:
  static constexpr int kBatch = 256;

  PosixReactor();
  ~PosixReactor() override;

  MonotonicTime now() const override { return now_; }
  void post(Runnable& r) override { ready_.push(r); }
  void arm(Timer& timer, MonotonicTime due) override { timers_.arm(timer, due); }
  void disarm(Timer& timer) override { timers_.disarm(timer); }

  // post(), from any thread. The reactor outlives the call.
  void post_from_thread(Runnable& r);
  // Runs until done() says so; it is asked once a turn.
  void run_until(const std::function<bool()>& done);
  // Turns made so far: equal numbers mean equal times.
  uint64_t turn() const { return turn_; }

 private:
  friend class IoWatch;
  void poll();
  int wait_events(epoll_event* events, int capacity, bool may_block);
  bool take_remote(bool about_to_block);
  void read_clock();

  Fd epoll_;
  Fd wake_;
  ReadyQueue ready_;
  TimerHeap timers_;
  MonotonicTime now_;
  uint64_t turn_ = 0;
  bool have_pwait2_ = true;

  std::mutex remote_mutex_;
  std::vector<Runnable*> remote_;  // guarded by remote_mutex_
  bool blocking_ = false;          // guarded by remote_mutex_: the loop may be asleep
  std::atomic<bool> has_remote_ = false;
  std::vector<Runnable*> taken_;
};

}  // namespace argon::posix
