// Runtime: the fibers of one node on one reactor, and their life.
//
// A world makes one Runtime per (node incarnation, reactor) and starts the daemon in root().
// Graceful stop: root().cancel(), then run the reactor until idle(). Power loss: kill().

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/checksum.h"
#include "core/env/env.h"
#include "core/fiber/context.h"
#include "core/fiber/scope.h"

namespace argon::fiber {

constexpr size_t kDefaultStackSize = 256 * 1024;

// One fiber; it is the Task its body receives. Made by Scope::spawn, deletes itself at its end.
class Fiber final : public Task, public Runnable, public Timer, public CancelNode {
 public:
  Fiber(Runtime& runtime, Scope& scope, std::string name, std::function<Status(Task&)> body);
  ~Fiber();

  Env& env() override;
  Status wait(Waiter& waiter) override;
  Status yield() override;
  Status sleep(Duration duration) override;
  bool cancelled() const override { return is_cancelled() && shields_ == 0; }
  MonotonicTime deadline() const override { return deadline_; }
  std::string_view name() const override { return name_; }
  // hash64 of the name: the same in every run.
  uint64_t name_hash() const {
    if (name_hash_ == 0) name_hash_ = hash64(as_bytes(name_));
    return name_hash_;
  }

  Runtime& runtime() { return runtime_; }

 private:
  friend class Runtime;
  friend class argon::Scope;

  void run() override;   // from the reactor: start or continue
  void fire() override;  // at until_, or earlier where a former wait's timer is still armed
  void woken(Waiter& waiter) override;
  void set_deadline(MonotonicTime deadline) override { deadline_ = deadline; }
  void add_shield(int by) override { shields_ += by; }
  void on_cancelled() override { make_ready(); }

  void make_ready();
  void suspend(MonotonicTime until);
  void check_alive() const;
  void body();
  void unwind();

  Runtime& runtime_;
  Scope* scope_;  // null once the scope died with the node
  std::string name_;
  mutable uint64_t name_hash_ = 0;
  std::function<Status(Task&)> body_;
  Context context_;
  Stack stack_;
  Waiter* waiting_ = nullptr;
  MonotonicTime deadline_ = MonotonicTime::max();
  MonotonicTime until_ = MonotonicTime::max();  // when the present wait ends at the latest
  int shields_ = 0;
  bool started_ = false;
  bool suspended_ = false;  // parked: make_ready() may post it
  bool ready_ = false;      // posted to the reactor
  bool finished_ = false;
  // All fibers of the runtime, oldest first.
  Fiber* older_ = nullptr;
  Fiber* newer_ = nullptr;
};

class Runtime {
 public:
  explicit Runtime(Env& env, size_t stack_size = kDefaultStackSize);
  // Takes its stacks from a pool that outlives it and that others of the same thread may share.
  Runtime(Env& env, StackPool& stacks);
  // REQUIRES: idle(), or killed.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  Env& env() { return env_; }
  Scope& root() { return *root_; }
  // No fiber is left.
  bool idle() const { return oldest_ == nullptr; }
  size_t size() const { return size_; }

  // Power loss. Unwinds every fiber, newest first (what a fiber refers to is older than the fiber),
  // without running any of its code but destructors. REQUIRES: called from outside fibers; the reactor
  // has forgotten everything posted or armed, and the Env answers nothing any more.
  void kill();
  bool killed() const { return killed_; }

 private:
  friend class Fiber;
  friend class argon::Scope;
  void add(Fiber& fiber);
  void remove(Fiber& fiber);

  Env& env_;
  Reactor& reactor_;
  std::unique_ptr<StackPool> own_stacks_;
  StackPool& stacks_;
  Fiber* oldest_ = nullptr;
  Fiber* newest_ = nullptr;
  size_t size_ = 0;
  bool killed_ = false;
  std::unique_ptr<Scope> root_;
};

}  // namespace argon::fiber
