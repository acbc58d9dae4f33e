// Ports: the ones wanted, or the next free ones.

#pragma once

#include <set>
#include <string>

#include "core/env/env.h"
#include "daemons/main/background.h"

namespace argon::cli {

class PortChooser {
 public:
  explicit PortChooser(std::string host) : host_(std::move(host)) {}
  // Never given out by this chooser.
  void reserve(uint16_t port) { taken_.insert(port); }
  // The first port from `wanted` on that nobody has. Unavailable after 1000 tries.
  Result<uint16_t> choose(uint16_t wanted);

 private:
  std::string host_;
  std::set<uint16_t> taken_;
};

// Ok once somebody could listen there. Waits half a second for a listener that may be ending, half a minute
// for the end of an outgoing connection that was given the port while nobody listened; then AlreadyExists,
// with the port and what to do.
Status wait_for_port(Task& task, const std::string& who, const Address& address, const Progress& progress);

}  // namespace argon::cli
