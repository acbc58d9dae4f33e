// Which endpoint a client names. Pure.

#pragma once

#include <optional>
#include <string>

#include "core/wire/pg_startup.h"

namespace argon::proxy {

// The endpoint, and the client's packet without that name. By what comes first: the word endpoint=NAME in the
// parameter `options`; the part of the database's name before a slash, NAME/DATABASE. None: neither is there.
struct Route {
  std::optional<std::string> endpoint;
  wire::StartupPacket packet;
};
Route route_of(wire::StartupPacket packet);

}  // namespace argon::proxy
