#include "core/compute/config.h"

namespace argon::compute {

std::string_view to_string(EndpointMode mode) {
  switch (mode) {
    case EndpointMode::Primary:
      return "primary";
    case EndpointMode::Static:
      return "static";
    case EndpointMode::Replica:
      return "replica";
  }
  return "unknown";
}

Result<EndpointMode> parse_endpoint_mode(std::string_view text) {
  for (EndpointMode mode : {EndpointMode::Primary, EndpointMode::Static, EndpointMode::Replica})
    if (text == to_string(mode)) return mode;
  return Error(Code::Invalid,
               "'" + std::string(text) + "' is not an endpoint mode: expected primary, static or replica");
}

}  // namespace argon::compute
