#include "daemons/posix/sockaddr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

namespace argon::posix {
namespace {

Result<SocketAddress> unix_address(const std::string& path) {
  SocketAddress result;
  auto* un = reinterpret_cast<sockaddr_un*>(&result.storage);
  if (path.size() >= sizeof un->sun_path)
    return Error(Code::Invalid, "socket path " + path + " is longer than the " +
                                    std::to_string(sizeof un->sun_path - 1) +
                                    " bytes the system allows: use a shorter state folder");
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.c_str(), path.size() + 1);
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return result;
}

bool literal_address(const Address& address, SocketAddress& result) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
  if (inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    result.length = sizeof *v4;
    return true;
  }
  std::string host = address.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    result.length = sizeof *v6;
    return true;
  }
  result = {};
  return false;
}

int look_up(const Address& address, std::vector<SocketAddress>& found) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  int rc = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  if (rc != 0) return rc;
  for (addrinfo* a = list; a != nullptr; a = a->ai_next) {
    SocketAddress one;
    std::memcpy(&one.storage, a->ai_addr, a->ai_addrlen);
    one.length = a->ai_addrlen;
    found.push_back(one);
  }
  freeaddrinfo(list);
  return found.empty() ? EAI_NONAME : 0;
}

}  // namespace

Result<std::vector<SocketAddress>> resolve(Task& task, PosixReactor& reactor, ThreadPool& pool,
                                           const Address& address) {
  if (address.is_unix()) {
    TRY_ASSIGN(SocketAddress one, unix_address(address.unix_path));
    return std::vector{one};
  }
  SocketAddress one;
  if (literal_address(address, one)) return std::vector{one};
  std::vector<SocketAddress> found;
  int rc = 0;
  pool.run(task, reactor, [&] { rc = look_up(address, found); });
  if (rc != 0) return Error(Code::Unavailable, "look up " + address.host + ": " + gai_strerror(rc));
  return found;
}

Address to_address(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.family() == AF_INET) {
    auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return Address::tcp(text, ntohs(v4->sin_port));
  }
  if (address.family() == AF_INET6) {
    auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    return Address::tcp("[" + std::string(text) + "]", ntohs(v6->sin6_port));
  }
  auto* un = reinterpret_cast<const sockaddr_un*>(&address.storage);
  return Address::unix_socket(address.length > offsetof(sockaddr_un, sun_path) ? un->sun_path : "");
}

}  // namespace argon::posix
