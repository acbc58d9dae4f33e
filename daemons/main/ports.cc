#include "daemons/main/ports.h"

#include <fmt/format.h>

#include "daemons/posix/port_holder.h"

namespace argon::cli {

using posix::port_holder;
using posix::PortHolder;

Status wait_for_port(Task& task, const std::string& who, const Address& address, const Progress& progress) {
  constexpr Duration kPause = Duration::milliseconds(100);
  constexpr int kListenerTries = 5;
  constexpr int kConnectionTries = 300;
  for (int i = 0;; i++) {
    PortHolder holder = port_holder(address.host, address.port);
    if (holder == PortHolder::Nobody) return {};
    if (i >= (holder == PortHolder::Listener ? kListenerTries : kConnectionTries))
      return Error(
          Code::AlreadyExists,
          fmt::format("{} cannot start: port {} ({}) is taken by {}; stop that, or change the port in "
                      "argon.toml",
                      who, address.port, to_string(address),
                      holder == PortHolder::Listener ? "another program" : "another program's connection"));
    if (i == kListenerTries)
      progress(fmt::format("{}: port {} is in use by an outgoing connection, waiting for its end", who,
                           address.port));
    TRY(task.sleep(kPause));
  }
}

Result<uint16_t> PortChooser::choose(uint16_t wanted) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries && wanted + i <= 65535; i++) {
    auto port = static_cast<uint16_t>(wanted + i);
    if (taken_.contains(port) || port_holder(host_, port) != PortHolder::Nobody) continue;
    taken_.insert(port);
    return port;
  }
  return Error(Code::Unavailable, "no free port on " + host_ + " from " + std::to_string(wanted) + " on");
}

}  // namespace argon::cli
