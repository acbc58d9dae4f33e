#include "core/fiber/context.h"

#include <sys/mman.h>

#include <cstdint>

#include "core/base/check.h"

#ifdef ARGON_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef ARGON_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace argon::fiber {
namespace {

constexpr size_t kGuardSize = 4096;
constexpr size_t kSlabStacks = 16;  // mapped at once

}  // namespace

StackPool::StackPool(size_t stack_size)
    : stack_size_((stack_size + kGuardSize - 1) / kGuardSize * kGuardSize) {}

StackPool::~StackPool() {
  for (char* slab : slabs_) munmap(slab, kSlabStacks * (kGuardSize + stack_size_));
}

Stack StackPool::take() {
  if (!free_.empty()) {
    Stack stack = free_.back();
    free_.pop_back();
    return stack;
  }
  size_t each = kGuardSize + stack_size_;
  if (untouched_ == 0) {
    void* slab = mmap(nullptr, kSlabStacks * each, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    CHECK(slab != MAP_FAILED, "no memory for fiber stacks");
    slabs_.push_back(static_cast<char*>(slab));
    untouched_ = kSlabStacks;
  }
  char* bottom = slabs_.back() + --untouched_ * each + kGuardSize;
  CHECK(mprotect(bottom, stack_size_, PROT_READ | PROT_WRITE) == 0, "no memory for a fiber stack");
  return {bottom, stack_size_};
}

void StackPool::give_back(Stack stack) {
#ifdef ARGON_ASAN
  __asan_unpoison_memory_region(stack.bottom, stack.size);
#endif
  free_.push_back(stack);
}

void Context::start(Stack stack, Entry entry, void* argument) {
  CHECK(other_ == nullptr);
  entry_ = entry;
  argument_ = argument;
  other_ = boost::context::detail::make_fcontext(static_cast<char*>(stack.bottom) + stack.size, stack.size,
                                                 &Context::trampoline);
#ifdef ARGON_ASAN
  stack_ = stack;
#endif
#ifdef ARGON_TSAN
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
  switch_in();
}

#if defined(ARGON_ASAN) || defined(ARGON_TSAN)
void Context::switch_in() {
#ifdef ARGON_ASAN
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, stack_.bottom, stack_.size);
#endif
#ifdef ARGON_TSAN
  tsan_loop_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_fiber_, 0);
#endif
  other_ = boost::context::detail::jump_fcontext(other_, this).fctx;
#ifdef ARGON_ASAN
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
#ifdef ARGON_TSAN
  if (entry_ == nullptr) __tsan_destroy_fiber(tsan_fiber_);
#endif
  if (entry_ == nullptr) other_ = nullptr;
}

void Context::switch_out() {
#ifdef ARGON_ASAN
  __sanitizer_start_switch_fiber(&fake_stack_, loop_stack_, loop_stack_size_);
#endif
#ifdef ARGON_TSAN
  __tsan_switch_to_fiber(tsan_loop_, 0);
#endif
  other_ = boost::context::detail::jump_fcontext(other_, nullptr).fctx;
#ifdef ARGON_ASAN
  __sanitizer_finish_switch_fiber(fake_stack_, &loop_stack_, &loop_stack_size_);
#endif
}

#endif

void Context::finish() {
  entry_ = nullptr;
#ifdef ARGON_ASAN
  __sanitizer_start_switch_fiber(nullptr, loop_stack_, loop_stack_size_);
#endif
#ifdef ARGON_TSAN
  __tsan_switch_to_fiber(tsan_loop_, 0);
#endif
  boost::context::detail::jump_fcontext(other_, nullptr);
  __builtin_unreachable();
}

void Context::trampoline(boost::context::detail::transfer_t transfer) {
  auto* self = static_cast<Context*>(transfer.data);
  self->other_ = transfer.fctx;
#ifdef ARGON_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &self->loop_stack_, &self->loop_stack_size_);
#endif
  self->entry_(self->argument_);
  self->finish();
}

}  // namespace argon::fiber
