// Context: one machine context and its stack, over Boost.Context's switch, with the annotations the
// sanitizers need (Debian's Boost.Context has none). Nothing else in Argon switches stacks.

#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define ARGON_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARGON_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define ARGON_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define ARGON_TSAN 1
#endif

namespace argon::fiber {

// A stack with an inaccessible page below it, so that an overflow faults at once.
struct Stack {
  void* bottom = nullptr;  // lowest usable address
  size_t size = 0;         // usable bytes
};

// Keeps stacks for reuse; memory is touched only as deep as a fiber went. Not shared between reactors.
class StackPool {
 public:
  explicit StackPool(size_t stack_size);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  Stack take();
  void give_back(Stack stack);

 private:
  size_t stack_size_;
  std::vector<Stack> free_;
  std::vector<char*> slabs_;  // addresses of several stacks, each above an inaccessible guard
  size_t untouched_ = 0;      // stacks of the last slab that were never taken
};

// One side of a pair of contexts: the loop and a fiber switch into each other.
class Context {
 public:
  using Entry = void (*)(void* argument);

  // Begins entry(argument) on the stack, from the loop; returns when that side calls switch_out() or
  // finish(). REQUIRES: no context of this object is alive.
  void start(Stack stack, Entry entry, void* argument);
  // From the loop into the suspended fiber; returns as start() does. Inline, like switch_out(): every
  // `ret` after a switch of stacks is mispredicted, so there must be few.
  void switch_in();
  // From the fiber back to the loop; returns on the next switch_in().
  void switch_out();
  // From the fiber back to the loop, for the last time: the stack may be reused afterwards.
  [[noreturn]] void finish();

 private:
  static void trampoline(boost::context::detail::transfer_t transfer);

  boost::context::detail::fcontext_t other_ = nullptr;  // the side not running
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
#ifdef ARGON_ASAN
  Stack stack_;
  const void* loop_stack_ = nullptr;
  size_t loop_stack_size_ = 0;
  void* fake_stack_ = nullptr;
#endif
#ifdef ARGON_TSAN
  void* tsan_fiber_ = nullptr;
  void* tsan_loop_ = nullptr;
#endif
};

#if !defined(ARGON_ASAN) && !defined(ARGON_TSAN)
inline void Context::switch_in() {
  other_ = boost::context::detail::jump_fcontext(other_, this).fctx;
  if (entry_ == nullptr) [[unlikely]]
    other_ = nullptr;
}

inline void Context::switch_out() {
  other_ = boost::context::detail::jump_fcontext(other_, nullptr).fctx;
}
#endif

}  // namespace argon::fiber
