// What a client says first to the proxy: packets come back as they were, and a name that was taken out is
// gone.

#include "core/proxy/route.h"

using namespace argon;
using namespace argon::wire;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Result<Opening> opening = parse_opening({data, size});
  if (!opening.ok()) return 0;
  if (auto* cancel = std::get_if<CancelRequest>(&*opening)) {
    Bytes sent = encode_cancel(*cancel);
    auto again = parse_opening(ByteView(sent).subspan(4));
    CHECK(again.ok() && std::get<CancelRequest>(*again).key == cancel->key);
  }
  auto* packet = std::get_if<StartupPacket>(&*opening);
  if (packet == nullptr) return 0;
  Bytes sent = encode_startup(*packet);
  auto again = parse_opening(ByteView(sent).subspan(4));
  CHECK(again.ok() && std::get<StartupPacket>(*again).parameters == packet->parameters);
  size_t before = packet->parameters.size();
  proxy::Route route = proxy::route_of(*packet);
  CHECK(route.packet.protocol == packet->protocol && route.packet.parameters.size() <= before);
  if (!route.endpoint) CHECK(route.packet.parameters == packet->parameters);
  // A route names its endpoint by one thing; what is left names none by options.
  const std::string* options = route.packet.find("options");
  if (options != nullptr) CHECK(proxy::route_of({0, {{"options", *options}}}).endpoint == std::nullopt);
  return 0;
}
