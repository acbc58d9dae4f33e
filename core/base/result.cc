#include "core/base/result.h"

namespace argon {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::NotFound:
      return "not found";
    case Code::AlreadyExists:
      return "already exists";
    case Code::Invalid:
      return "invalid";
    case Code::Corrupt:
      return "corrupt";
    case Code::Unsupported:
      return "unsupported";
    case Code::Unavailable:
      return "unavailable";
    case Code::Disconnected:
      return "disconnected";
    case Code::TimedOut:
      return "timed out";
    case Code::Cancelled:
      return "cancelled";
    case Code::MaybeApplied:
      return "maybe applied";
    case Code::Stale:
      return "stale";
    case Code::NoSpace:
      return "no space";
    case Code::Io:
      return "i/o error";
  }
  return "unknown code";
}

std::string Error::to_string() const {
  return std::string(argon::to_string(code_)) + ": " + message_;
}

Error Error::with(std::string_view context) const {
  std::string message(context);
  message += ": ";
  message += message_;
  return Error(code_, std::move(message), os_error_);
}

}  // namespace argon
