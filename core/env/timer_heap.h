// TimerHeap: the armed timers of one reactor, ordered by (due, order of arming).
//
// An intrusive 4-ary heap: arming, disarming and firing cost O(log n) and allocate only when the
// array grows. Shared by the production loop and the simulator, which add the waiting.

#pragma once

#include <vector>

#include "core/base/check.h"
#include "core/env/reactor.h"

namespace argon {

class TimerHeap {
 public:
  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  // REQUIRES: not empty.
  MonotonicTime next_due() const { return heap_.front()->due_; }

  void arm(Timer& timer, MonotonicTime due) {
    CHECK(!timer.armed());
    timer.due_ = due;
    timer.sequence_ = next_sequence_++;
    heap_.push_back(&timer);
    sift_up(static_cast<unsigned>(heap_.size() - 1));
  }

  void disarm(Timer& timer) {
    if (!timer.armed()) return;
    unsigned at = timer.heap_index_;
    Timer* last = heap_.back();
    heap_.pop_back();
    timer.heap_index_ = Timer::kUnarmed;
    if (last == &timer) return;
    place(at, last);
    sift_up(at);
    sift_down(last->heap_index_);
  }

  // Takes the earliest timer out; its owner fires it. REQUIRES: not empty.
  Timer& pop() {
    Timer& first = *heap_.front();
    disarm(first);
    return first;
  }

 private:
  static constexpr unsigned kArity = 4;

  static bool before(const Timer* a, const Timer* b) {
    return a->due_ != b->due_ ? a->due_ < b->due_ : a->sequence_ < b->sequence_;
  }
  void place(unsigned at, Timer* timer) {
    heap_[at] = timer;
    timer->heap_index_ = at;
  }
  void sift_up(unsigned at) {
    Timer* timer = heap_[at];
    while (at > 0) {
      unsigned parent = (at - 1) / kArity;
      if (!before(timer, heap_[parent])) break;
      place(at, heap_[parent]);
      at = parent;
    }
    place(at, timer);
  }
  void sift_down(unsigned at) {
    Timer* timer = heap_[at];
    unsigned size = static_cast<unsigned>(heap_.size());
    for (;;) {
      unsigned first = at * kArity + 1;
      if (first >= size) break;
      unsigned best = first;
      unsigned end = first + kArity < size ? first + kArity : size;
      for (unsigned i = first + 1; i < end; i++)
        if (before(heap_[i], heap_[best])) best = i;
      if (!before(heap_[best], timer)) break;
      place(at, heap_[best]);
      at = best;
    }
    place(at, timer);
  }

  std::vector<Timer*> heap_;
  unsigned long long next_sequence_ = 0;
};

}  // namespace argon
