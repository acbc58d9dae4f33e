#include "core/fiber/runtime.h"

#include <algorithm>
#include <exception>

namespace argon::fiber {

Fiber::Fiber(Runtime& runtime, Scope& scope, std::string name, std::function<Status(Task&)> body)
    : runtime_(runtime), scope_(&scope), name_(std::move(name)), body_(std::move(body)) {
  attach_to(scope);
  runtime_.add(*this);
}

Fiber::~Fiber() {
  if (armed()) runtime_.reactor_.disarm(*this);
  runtime_.remove(*this);
}

Env& Fiber::env() {
  return runtime_.env_;
}

void Fiber::check_alive() const {
  if (!runtime_.killed_) [[likely]]
    return;
  CHECK(std::uncaught_exceptions() == 0, "fiber " + name_ + " suspends while it unwinds");
  throw NodeKilled{};
}

// A timer that a former wait has armed stays: most waits end long before their deadline, and the next one's
// is no earlier. It fires for nothing now and then, and is armed anew then.
[[gnu::always_inline]] inline void Fiber::suspend(MonotonicTime until) {
  if (until != MonotonicTime::max() && (!armed() || due() > until)) {
    if (armed()) runtime_.reactor_.disarm(*this);
    runtime_.reactor_.arm(*this, until);
  }
  until_ = until;
  suspended_ = true;
  context_.switch_out();
  suspended_ = false;
  until_ = MonotonicTime::max();
  check_alive();
}

Status Fiber::wait(Waiter& waiter) {
  CHECK(&waiter.task() == this);
  if (waiter.woken()) return {};
  check_alive();
  bool limited = deadline_ != MonotonicTime::max();
  for (;;) {
    if (cancelled()) return Error(Code::Cancelled, name_ + " was told to stop");
    if (limited && runtime_.reactor_.now() >= deadline_)
      return Error(Code::TimedOut, name_ + " reached its deadline");
    waiting_ = &waiter;
    suspend(deadline_);
    waiting_ = nullptr;
    if (waiter.woken()) return {};
  }
}

Status Fiber::yield() {
  check_alive();
  if (cancelled()) return Error(Code::Cancelled, name_ + " was told to stop");
  ready_ = true;
  runtime_.reactor_.post(*this);
  suspend(MonotonicTime::max());
  return {};
}

Status Fiber::sleep(Duration duration) {
  if (duration.ns <= 0) return yield();
  check_alive();
  MonotonicTime end = runtime_.reactor_.now() + duration;
  MonotonicTime until = std::min(end, deadline_);
  while (runtime_.reactor_.now() < until) {
    if (cancelled()) return Error(Code::Cancelled, name_ + " was told to stop");
    suspend(until);
  }
  if (until < end) return Error(Code::TimedOut, name_ + " reached its deadline");
  return {};
}

void Fiber::make_ready() {
  if (!suspended_ || ready_ || runtime_.killed_) return;
  ready_ = true;
  runtime_.reactor_.post(*this);
}

void Fiber::woken(Waiter& waiter) {
  if (waiting_ == &waiter) make_ready();
}

void Fiber::fire() {
  if (!suspended_ || ready_ || until_ == MonotonicTime::max()) return;
  if (runtime_.reactor_.now() < until_)
    runtime_.reactor_.arm(*this, until_);
  else
    make_ready();
}

void Fiber::run() {
  ready_ = false;
  if (started_) {
    context_.switch_in();
  } else {
    started_ = true;
    stack_ = runtime_.stacks_.take();
    context_.start(stack_, [](void* self) { static_cast<Fiber*>(self)->body(); }, this);
  }
  if (finished_) {
    runtime_.stacks_.give_back(stack_);
    delete this;
  }
}

void Fiber::body() {
  try {
    Status status = body_(*this);
    body_ = nullptr;
    if (scope_ != nullptr) scope_->ended(status);
  } catch (const NodeKilled&) {
    body_ = nullptr;
  }
  finished_ = true;
}

void Fiber::unwind() {
  ready_ = false;
  if (started_)
    run();
  else
    delete this;
}

Runtime::Runtime(Env& env, size_t stack_size)
    : env_(env),
      reactor_(env.reactor()),
      own_stacks_(std::make_unique<StackPool>(stack_size)),
      stacks_(*own_stacks_),
      root_(new Scope(*this)) {}

Runtime::Runtime(Env& env, StackPool& stacks)
    : env_(env), reactor_(env.reactor()), stacks_(stacks), root_(new Scope(*this)) {}

Runtime::~Runtime() {
  CHECK(idle(), "a runtime is destroyed while fibers live");
}

void Runtime::add(Fiber& fiber) {
  fiber.older_ = newest_;
  (newest_ != nullptr ? newest_->newer_ : oldest_) = &fiber;
  newest_ = &fiber;
  size_++;
}

void Runtime::remove(Fiber& fiber) {
  (fiber.older_ != nullptr ? fiber.older_->newer_ : oldest_) = fiber.newer_;
  (fiber.newer_ != nullptr ? fiber.newer_->older_ : newest_) = fiber.older_;
  size_--;
}

void Runtime::kill() {
  killed_ = true;
  while (newest_ != nullptr) newest_->unwind();
}

}  // namespace argon::fiber
