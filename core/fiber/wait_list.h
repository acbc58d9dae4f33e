// WaitList: tasks waiting for something to be notified, first come, first served.

#pragma once

#include "core/env/task.h"

namespace argon {

class WaitList {
 public:
  WaitList() = default;
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  // Suspends until notified. Errors: Cancelled, TimedOut. A notification is never lost: a task that was
  // notified returns ok even if it was cancelled meanwhile.
  Status wait(Task& task);
  // Wakes the task that waited longest; false where none waits.
  bool notify_one();
  void notify_all();
  bool empty() const { return head_ == nullptr; }

 private:
  struct Node {
    explicit Node(Task& task) : waiter(task) {}
    Waiter waiter;
    Node* previous = nullptr;
    Node* next = nullptr;
    bool linked = false;
  };
  void link(Node& node);
  void unlink(Node& node);

  Node* head_ = nullptr;
  Node* tail_ = nullptr;
};

}  // namespace argon
