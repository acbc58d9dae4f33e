#include "core/env/network.h"

#include "core/base/ids.h"

namespace argon {

std::string to_string(const Address& address) {
  if (address.is_unix()) return "unix:" + address.unix_path;
  return address.host + ":" + std::to_string(address.port);
}

Result<Address> parse_address(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix) && text.size() > kUnix.size())
    return Address::unix_socket(std::string(text.substr(kUnix.size())));
  size_t colon = text.rfind(':');
  Error invalid(Code::Invalid,
                "'" + std::string(text) + "' is not an address: expected HOST:PORT or unix:PATH");
  if (colon == std::string_view::npos || colon == 0) return invalid;
  Result<uint64_t> port = parse_u64(text.substr(colon + 1));
  if (!port.ok() || *port > 65535) return invalid;
  return Address::tcp(std::string(text.substr(0, colon)), static_cast<uint16_t>(*port));
}

}  // namespace argon
