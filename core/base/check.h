// CHECK: an assertion about our own logic, on in every build.
//
// Never used on bytes from disk, network, peers, users or the object store: those end in a
// Result. A failed check prints expression, place and message to standard error and aborts;
// the simulator adds node, virtual time and seed from its SIGABRT report.

#pragma once

#include <string>

namespace argon {

[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const std::string& message);

}  // namespace argon

#define CHECK(condition, ...)                                                            \
  do {                                                                                   \
    if (!(condition)) [[unlikely]]                                                       \
      ::argon::check_failed(__FILE__, __LINE__, #condition, ::std::string{__VA_ARGS__}); \
  } while (false)
