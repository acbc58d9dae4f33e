// Who has a TCP port of this machine, where nobody else may listen on it now.

#pragma once

#include <string>

namespace argon::posix {

enum class PortHolder {
  Nobody,
  Listener,    // a program listens on it, or one that did has not quite ended yet
  Connection,  // an outgoing connection was given it as its own port: it comes back when that ends
};

// `host` is a literal IPv4 address; another is looked at as loopback.
PortHolder port_holder(const std::string& host, uint16_t port);

}  // namespace argon::posix
