#include "daemons/posix/port_holder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>
#include <fstream>

#include "daemons/posix/fd.h"

namespace argon::posix {
namespace {

// One line a socket: "sl: ADDRESS:PORT ADDRESS:PORT STATE …", in hexadecimal; state 0A listens (Linux,
// proc(5)).
bool listens(const char* table, uint16_t port) {
  std::ifstream in(table);
  std::string line;
  while (std::getline(in, line)) {
    unsigned local = 0;
    unsigned state = 0;
    if (std::sscanf(line.c_str(), "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) == 2 &&
        local == port && state == 0x0a)
      return true;
  }
  return false;
}

}  // namespace

PortHolder port_holder(const std::string& host, uint16_t port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int one = 1;
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return PortHolder::Nobody;
  return listens("/proc/net/tcp", port) || listens("/proc/net/tcp6", port) ? PortHolder::Listener
                                                                           : PortHolder::Connection;
}

}  // namespace argon::posix
