// What a client says first to the proxy: packets come back as they were, and a name that was taken out is
// gone. As a host name (SNI, which TLS has unpacked), the same bytes name an endpoint by their first label
// alone.

#include "core/proxy/route.h"

using namespace argon;
using namespace argon::wire;

namespace {

void check_host(std::string_view host) {
  std::optional<std::string> name = proxy::endpoint_in_host(host);
  if (!name) return;
  CHECK(!name->empty() && name->find('.') == std::string::npos);
  CHECK(host.starts_with(*name + ".") && host.size() > name->size() + 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_host(as_text({data, size}));
  Result<Opening> opening = parse_opening({data, size});
  if (!opening.ok()) return 0;
  if (auto* cancel = std::get_if<CancelRequest>(&*opening)) {
    Bytes sent = encode_cancel(*cancel);
    auto again = parse_opening(ByteView(sent).subspan(4));
    CHECK(again.ok() && std::get<CancelRequest>(*again).key == cancel->key);
  }
  if (auto* request = std::get_if<EncryptionRequest>(&*opening)) {
    Bytes asked = encode_ssl_request();
    bool same = size >= 4 && std::equal(asked.begin() + 4, asked.end(), data);
    CHECK(same == (request->kind == EncryptionRequest::Kind::Tls));
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
