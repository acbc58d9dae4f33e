// Socket addresses: Address to and from what the kernel takes.

#pragma once

#include <sys/socket.h>

#include <vector>

#include "core/env/network.h"
#include "daemons/posix/thread_pool.h"

namespace argon::posix {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Every address the name stands for, at least one. Literal addresses and Unix paths are not looked up.
// Errors: Invalid (a Unix path too long for the kernel), Unavailable (no such name).
Result<std::vector<SocketAddress>> resolve(Task& task, PosixReactor& reactor, ThreadPool& pool,
                                           const Address& address);
Address to_address(const SocketAddress& address);

}  // namespace argon::posix
