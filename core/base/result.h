// Result<T>: a value or an Error, and never dropped unnoticed.
//
// A code exists only if some caller reacts differently to it. Messages read as a chain of
// "verb object: cause" ("open layer X: read block 7: Input/output error"); the place that
// consumes an error logs it, places that pass it on only add context.

#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/check.h"

namespace argon {

enum class Code : uint8_t {
  NotFound,       // the thing asked for does not exist
  AlreadyExists,  // it exists already, so creating it did nothing
  Invalid,        // the request itself is wrong; repeating it cannot help
  Corrupt,        // stored or received bytes contradict their checksum or format
  Unsupported,    // well-formed, but of a version or kind this build does not handle
  Unavailable,    // not now; the same request may succeed later
  Disconnected,   // the peer or the connection is gone; nothing is known of unanswered requests
  TimedOut,       // the task's deadline passed
  Cancelled,      // the task was told to stop
  MaybeApplied,   // the outcome is unknown: it may have happened, now or later
  Stale,          // somebody with a higher term or generation has taken over
  NoSpace,        // the disk is full
  Io,             // the device or operating system refused; see os_error
};

std::string_view to_string(Code code);

class Error {
 public:
  Error(Code code, std::string message, int os_error = 0)
      : code_(code), os_error_(os_error), message_(std::move(message)) {}

  Code code() const { return code_; }
  // errno of the failed call, 0 where there is none.
  int os_error() const { return os_error_; }
  const std::string& message() const { return message_; }
  // "CODE: message".
  std::string to_string() const;
  // The same error with "context: " before its message.
  Error with(std::string_view context) const;

 private:
  Code code_;
  int os_error_;
  std::string message_;
};

template <typename T = void>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::unexpected(std::move(error))) {}

  bool ok() const { return state_.has_value(); }
  explicit operator bool() const { return ok(); }
  T& value() & {
    CHECK(ok(), state_.error().to_string());
    return *state_;
  }
  const T& value() const& {
    CHECK(ok(), state_.error().to_string());
    return *state_;
  }
  T&& value() && {
    CHECK(ok(), state_.error().to_string());
    return *std::move(state_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    CHECK(!ok());
    return state_.error();
  }
  Code code() const { return error().code(); }
  bool is(Code code) const { return !ok() && state_.error().code() == code; }
  // The same result; an error gets "context: " before its message.
  Result with(std::string_view context) && {
    if (ok()) return std::move(*this);
    return state_.error().with(context);
  }

 private:
  std::expected<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  // Not defaulted: `return {}` would zero the space of an error first.
  Result() : state_() {}
  Result(Error error) : state_(std::unexpected(std::move(error))) {}

  bool ok() const { return state_.has_value(); }
  explicit operator bool() const { return ok(); }
  void value() const { CHECK(ok(), state_.error().to_string()); }
  const Error& error() const {
    CHECK(!ok());
    return state_.error();
  }
  Code code() const { return error().code(); }
  bool is(Code code) const { return !ok() && state_.error().code() == code; }
  Result with(std::string_view context) && {
    if (ok()) return {};
    return state_.error().with(context);
  }

 private:
  std::expected<void, Error> state_;
};

using Status = Result<void>;

// For results whose failure truly does not matter; the reason belongs in a comment beside it.
template <typename T>
void ignore_result(Result<T>&&) {}

}  // namespace argon

#define ARGON_CONCAT_(a, b) a##b
#define ARGON_CONCAT(a, b) ARGON_CONCAT_(a, b)

// TRY(expression): returns its error from the enclosing function; the value is dropped.
#define TRY(...)                                                            \
  do {                                                                      \
    if (auto&& try_result_ = (__VA_ARGS__); !try_result_.ok()) [[unlikely]] \
      return try_result_.error();                                           \
  } while (false)

// TRY_ASSIGN(auto x, expression): the same, and gives the value to x.
#define TRY_ASSIGN(declaration, ...) \
  TRY_ASSIGN_(ARGON_CONCAT(try_result_, __LINE__), declaration, __VA_ARGS__)
#define TRY_ASSIGN_(temporary, declaration, ...) \
  auto temporary = (__VA_ARGS__);                \
  if (!temporary.ok()) [[unlikely]]              \
    return temporary.error();                    \
  declaration = *std::move(temporary)
