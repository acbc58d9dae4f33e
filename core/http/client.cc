#include "core/http/client.h"

#include <nlohmann/json.hpp>

#include "core/http/codec.h"

namespace argon::http {

Result<Response> fetch(Task& task, const Address& address, const ClientRequest& request, size_t body_limit) {
  TRY_ASSIGN(std::unique_ptr<Stream> stream, task.env().network().connect(task, address));
  wire::BufferedWriter out(*stream);
  std::string host = address.is_unix() ? "localhost" : to_string(address);
  encode_request(out.buffer(), request.method, request.target, host, request.headers, request.content_type,
                 request.body);
  TRY(out.flush(task));
  wire::BufferedReader in(*stream);
  return read_response(task, in, ReadLimits{64 * 1024, body_limit}, request.method == "HEAD");
}

Result<nlohmann::json> fetch_json(Task& task, const Address& address, const std::string& method,
                                  const std::string& target, const nlohmann::json& body) {
  ClientRequest request{method, target, {}, body.is_null() ? "" : body.dump(), "application/json"};
  std::string context = method + " " + to_string(address) + target;
  TRY_ASSIGN(Response response, fetch(task, address, request).with(context));
  TRY(check_response(response).with(context));
  return response.json().with(context);
}

}  // namespace argon::http
