// Fd: an owned file descriptor; and errno turned into Error.

#pragma once

#include <string>
#include <utility>

#include "core/base/result.h"

namespace argon::posix {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// "what: text of errno". NotFound, AlreadyExists, NoSpace, Invalid where the number says so, else Io.
Error os_error(std::string_view what, int number);
// The text alone.
std::string_view os_error_text(int number);

}  // namespace argon::posix
