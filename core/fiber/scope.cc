#include "core/fiber/scope.h"

#include "core/fiber/runtime.h"

namespace argon {
namespace fiber {

CancelNode::~CancelNode() {
  detach();
  // Only after power loss may children be left: they no longer have anybody to hear from.
  for (CancelNode* child = first_child_; child != nullptr; child = child->next_) child->parent_ = nullptr;
}

void CancelNode::attach_to(CancelNode& parent) {
  parent_ = &parent;
  cancelled_ = parent.cancelled_;
  previous_ = parent.last_child_;
  (previous_ != nullptr ? previous_->next_ : parent.first_child_) = this;
  parent.last_child_ = this;
}

void CancelNode::detach() {
  if (parent_ == nullptr) return;
  (previous_ != nullptr ? previous_->next_ : parent_->first_child_) = next_;
  (next_ != nullptr ? next_->previous_ : parent_->last_child_) = previous_;
  parent_ = nullptr;
}

void CancelNode::cancel_tree() {
  if (cancelled_) return;
  cancelled_ = true;
  on_cancelled();
  for (CancelNode* child = first_child_; child != nullptr; child = child->next_) child->cancel_tree();
}

}  // namespace fiber

Scope::Scope(Task& owner) : runtime_(static_cast<fiber::Fiber&>(owner).runtime()) {
  attach_to(static_cast<fiber::Fiber&>(owner));
}

Scope::Scope(Scope& parent) : runtime_(parent.runtime_) {
  attach_to(parent);
}

Scope::Scope(Task& owner, Detached) : runtime_(static_cast<fiber::Fiber&>(owner).runtime()) {}

Scope::Scope(fiber::Runtime& runtime) : runtime_(runtime) {}

Scope::~Scope() {
  if (!runtime_.killed()) {
    CHECK(live_ == 0, "a scope is destroyed while its fibers live: join it first");
    return;
  }
  for (fiber::Fiber* f = runtime_.oldest_; f != nullptr; f = f->newer_)
    if (f->scope_ == this) f->scope_ = nullptr;
}

void Scope::spawn(std::string name, std::function<Status(Task&)> body) {
  if (runtime_.killed()) return;
  auto* fiber = new fiber::Fiber(runtime_, *this, std::move(name), std::move(body));
  live_++;
  fiber->ready_ = true;
  runtime_.reactor_.post(*fiber);
}

void Scope::ended(const Status& status) {
  live_--;
  if (!status.ok() && !status.is(Code::Cancelled) && error_.ok()) {
    error_ = status;
    cancel();
  }
  if (live_ == 0) joiners_.notify_all();
}

Status Scope::join(Task& task) {
  Status interrupted;
  while (live_ > 0) {
    Status waited = joiners_.wait(task);
    if (waited.ok()) continue;
    interrupted = waited;
    cancel();
    // From here on the children are stopping; waiting for them is part of an orderly end.
    Uninterruptible to_the_end(task);
    while (live_ > 0) {
      waited = joiners_.wait(task);
      CHECK(waited.ok());
    }
  }
  if (!error_.ok()) return error_;
  return interrupted;
}

Status Scope::stop(Task& task) {
  cancel();
  Uninterruptible to_the_end(task);
  return join(task);
}

}  // namespace argon
