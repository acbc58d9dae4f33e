#include "daemons/main/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "daemons/posix/fd.h"

namespace argon::cli {

bool port_is_free(const std::string& host, uint16_t port) {
  posix::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int one = 1;
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

Result<uint16_t> PortChooser::choose(uint16_t wanted) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries && wanted + i <= 65535; i++) {
    auto port = static_cast<uint16_t>(wanted + i);
    if (taken_.contains(port) || !port_is_free(host_, port)) continue;
    taken_.insert(port);
    return port;
  }
  return Error(Code::Unavailable, "no free port on " + host_ + " from " + std::to_string(wanted) + " on");
}

}  // namespace argon::cli
