// The machine's clocks, for programs that measure it.

#pragma once

#include <time.h>

#include <cstdint>

namespace argon::bench {

inline int64_t now_ns(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// The time that passes.
inline int64_t real_ns() {
  return now_ns(CLOCK_MONOTONIC);
}
inline double real_s() {
  return static_cast<double>(real_ns()) / 1e9;
}
// What this thread was given of a core: other work of the machine does not count.
inline int64_t thread_ns() {
  return now_ns(CLOCK_THREAD_CPUTIME_ID);
}

}  // namespace argon::bench
