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

// What comes after these: the first label of the host name that a client says in its TLS handshake (SNI),
// NAME.anything. None: a name without a dot. It need not be an endpoint's: any host name may lead to a proxy.
std::optional<std::string> endpoint_in_host(std::string_view host);

}  // namespace argon::proxy
