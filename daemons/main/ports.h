// Ports: the ones wanted, or the next free ones.

#pragma once

#include <set>
#include <string>

#include "core/base/result.h"

namespace argon::cli {

class PortChooser {
 public:
  explicit PortChooser(std::string host) : host_(std::move(host)) {}
  // Never given out by this chooser.
  void reserve(uint16_t port) { taken_.insert(port); }
  // The first port from `wanted` on that nobody listens on. Unavailable after 1000 tries.
  Result<uint16_t> choose(uint16_t wanted);

 private:
  std::string host_;
  std::set<uint16_t> taken_;
};

// Could somebody listen there now?
bool port_is_free(const std::string& host, uint16_t port);

}  // namespace argon::cli
