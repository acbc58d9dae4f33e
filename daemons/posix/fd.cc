#include "daemons/posix/fd.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace argon::posix {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

std::string_view os_error_text(int number) {
  const char* text = strerrordesc_np(number);
  return text != nullptr ? text : "unknown error";
}

Error os_error(std::string_view what, int number) {
  std::string message(what);
  message += ": ";
  message += os_error_text(number);
  switch (number) {
    case ENOENT:
    case ESRCH:
      return Error(Code::NotFound, std::move(message), number);
    case EEXIST:
    case EADDRINUSE:
      return Error(Code::AlreadyExists, std::move(message), number);
    case ENOSPC:
    case EDQUOT:
      return Error(Code::NoSpace, std::move(message), number);
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case EADDRNOTAVAIL:
      return Error(Code::Invalid, std::move(message), number);
    default:
      return Error(Code::Io, std::move(message), number);
  }
}

}  // namespace argon::posix
