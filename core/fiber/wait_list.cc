#include "core/fiber/wait_list.h"

namespace argon {

Status WaitList::wait(Task& task) {
  // Unlinks itself also when power loss unwinds the fiber.
  struct Linked {
    Linked(WaitList& list, Node& node) : list(list), node(node) { list.link(node); }
    ~Linked() {
      if (node.linked) list.unlink(node);
    }
    WaitList& list;
    Node& node;
  };
  Node node(task);
  Linked linked(*this, node);
  return task.wait(node.waiter);
}

bool WaitList::notify_one() {
  if (head_ == nullptr) return false;
  Node& node = *head_;
  unlink(node);
  node.waiter.wake();
  return true;
}

void WaitList::notify_all() {
  while (notify_one()) {
  }
}

void WaitList::link(Node& node) {
  node.linked = true;
  node.previous = tail_;
  (tail_ != nullptr ? tail_->next : head_) = &node;
  tail_ = &node;
}

void WaitList::unlink(Node& node) {
  node.linked = false;
  (node.previous != nullptr ? node.previous->next : head_) = node.next;
  (node.next != nullptr ? node.next->previous : tail_) = node.previous;
}

}  // namespace argon
