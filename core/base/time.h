// Integer time. Durations and points are nanoseconds; monotonic and wall time do not mix.

#pragma once

#include <compare>
#include <cstdint>

namespace argon {

struct Duration {
  int64_t ns = 0;

  static constexpr Duration nanoseconds(int64_t n) { return {n}; }
  static constexpr Duration microseconds(int64_t n) { return {n * 1'000}; }
  static constexpr Duration milliseconds(int64_t n) { return {n * 1'000'000}; }
  static constexpr Duration seconds(int64_t n) { return {n * 1'000'000'000}; }
  static constexpr Duration max() { return {INT64_MAX / 4}; }

  constexpr int64_t to_microseconds() const { return ns / 1'000; }
  constexpr int64_t to_milliseconds() const { return ns / 1'000'000; }
  constexpr int64_t to_seconds() const { return ns / 1'000'000'000; }

  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
  friend constexpr Duration operator*(Duration a, int64_t n) { return {a.ns * n}; }
  friend constexpr Duration operator*(int64_t n, Duration a) { return {a.ns * n}; }
  friend constexpr Duration operator/(Duration a, int64_t n) { return {a.ns / n}; }
};

// Time since some fixed point of this node's life. Never goes back; means nothing to other nodes.
struct MonotonicTime {
  int64_t ns = 0;

  static constexpr MonotonicTime max() { return {INT64_MAX / 2}; }

  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;
  friend constexpr MonotonicTime operator+(MonotonicTime t, Duration d) { return {t.ns + d.ns}; }
  friend constexpr MonotonicTime operator-(MonotonicTime t, Duration d) { return {t.ns - d.ns}; }
  friend constexpr Duration operator-(MonotonicTime a, MonotonicTime b) { return {a.ns - b.ns}; }
};

// What the node's wall clock says: nanoseconds since 1970-01-01 UTC. May be wrong, may step.
struct WallTime {
  int64_t ns = 0;

  // PostgreSQL's TimestampTz: microseconds since 2000-01-01 UTC.
  constexpr int64_t to_postgres() const { return ns / 1'000 - kPostgresEpochMicroseconds; }
  static constexpr WallTime from_postgres(int64_t us) { return {(us + kPostgresEpochMicroseconds) * 1'000}; }
  static constexpr int64_t kPostgresEpochMicroseconds = 946'684'800'000'000;

  friend constexpr auto operator<=>(WallTime, WallTime) = default;
  friend constexpr WallTime operator+(WallTime t, Duration d) { return {t.ns + d.ns}; }
  friend constexpr Duration operator-(WallTime a, WallTime b) { return {a.ns - b.ns}; }
};

namespace literals {
constexpr Duration operator""_ns(unsigned long long n) {
  return Duration::nanoseconds(static_cast<int64_t>(n));
}
constexpr Duration operator""_us(unsigned long long n) {
  return Duration::microseconds(static_cast<int64_t>(n));
}
constexpr Duration operator""_ms(unsigned long long n) {
  return Duration::milliseconds(static_cast<int64_t>(n));
}
constexpr Duration operator""_s(unsigned long long n) {
  return Duration::seconds(static_cast<int64_t>(n));
}
}  // namespace literals

}  // namespace argon
