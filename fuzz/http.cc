// HTTP requests and responses, and the escapes of paths.

#include <nlohmann/json.hpp>

#include "core/http/codec.h"

using namespace argon;
using namespace argon::http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr ReadLimits kLimits{2048, 8192};
  ByteView input(data, size);
  if (auto received = parse_request(input, kLimits); received.ok()) {
    CHECK(received->request.body.size() <= kLimits.body_bytes);
    CHECK(!received->request.method.empty());
    ignore_result(received->request.json());
  }
  if (auto response = parse_response(input, kLimits); response.ok()) {
    CHECK(response->body.size() <= kLimits.body_bytes);
    ignore_result(check_response(*response));
  }
  std::string text(as_text(input));
  auto decoded = url_decode(text, true);
  if (decoded.ok()) CHECK(*url_decode(url_encode(*decoded), true) == *decoded);
  return 0;
}
