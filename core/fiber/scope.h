// Scope: structured concurrency. Fibers are spawned into a scope, and the scope outlives them.
//
// Invariants:
// 1. A scope is destroyed only when it has no fibers left (join() sees to that); else it is a CHECK.
//    Only a node's death by power loss is exempt.
// 2. Cancelling a scope cancels its fibers and the scopes they own (but detached ones), at once and for ever.
// 3. The first fiber that ends with an error other than Cancelled makes it the scope's error and
//    cancels the others.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/env/task.h"
#include "core/fiber/wait_list.h"

namespace argon {

namespace fiber {
class Fiber;
class Runtime;

// A tree over which cancellation spreads: scopes hold fibers, fibers own scopes.
class CancelNode {
 public:
  CancelNode() = default;
  CancelNode(const CancelNode&) = delete;
  CancelNode& operator=(const CancelNode&) = delete;

  bool is_cancelled() const { return cancelled_; }
  void cancel_tree();

 protected:
  virtual ~CancelNode();
  void attach_to(CancelNode& parent);
  // Called once, when the node becomes cancelled.
  virtual void on_cancelled() {}

 private:
  void detach();

  CancelNode* parent_ = nullptr;
  CancelNode* first_child_ = nullptr;
  CancelNode* last_child_ = nullptr;
  CancelNode* previous_ = nullptr;
  CancelNode* next_ = nullptr;
  bool cancelled_ = false;
};
}  // namespace fiber

class Scope final : private fiber::CancelNode {
 public:
  // Owned by the task: the task's cancellation reaches the scope.
  explicit Scope(Task& owner);
  // Cancelled together with `parent`, but may be owned by any object that dies before it.
  explicit Scope(Scope& parent);
  // Not cancelled with the task: for what must go on while the task stops in order. Only cancel() and
  // stop() end it, so the task stops it on every way out.
  struct Detached {};
  Scope(Task& owner, Detached);
  ~Scope();

  // Runs body in a new fiber, soon. The name is for logs and traces. In a cancelled scope the fiber
  // still starts (with cancelled() already true), so that what it owns is released by its own code.
  void spawn(std::string name, std::function<Status(Task&)> body);
  void cancel() { cancel_tree(); }
  bool cancelled() const { return is_cancelled(); }
  // Waits until no fiber is left, and returns the scope's error, if any. If the waiting task is
  // cancelled or its deadline passes, the fibers are cancelled and waited for all the same (a stop is
  // orderly), and the result is Cancelled or TimedOut.
  Status join(Task& task);
  // cancel(), then join(): an orderly stop. The scope's own error, if any.
  Status stop(Task& task);
  // Fibers not ended yet.
  size_t size() const { return live_; }

 private:
  friend class fiber::Fiber;
  friend class fiber::Runtime;
  explicit Scope(fiber::Runtime& runtime);
  void ended(const Status& status);

  fiber::Runtime& runtime_;
  size_t live_ = 0;
  Status error_;
  WaitList joiners_;
};

}  // namespace argon
