// An HTTP/1.1 client: one request, one connection.

#pragma once

#include "core/env/env.h"
#include "core/http/message.h"

namespace argon::http {

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query, encoded
  Fields headers;
  std::string body;
  std::string content_type = "application/json";
};

// Connects, sends, reads the whole response (at most `body_limit` bytes). Give the task a Deadline.
// Errors: those of connect; Disconnected and TimedOut once the request may have been received; Corrupt.
// A status >= 400 is a response, not an error: see check_response().
Result<Response> fetch(Task& task, const Address& address, const ClientRequest& request,
                       size_t body_limit = 16 * 1024 * 1024);

// fetch() of JSON: sends `body` unless null, checks the status, parses the answer (null where empty).
Result<nlohmann::json> fetch_json(Task& task, const Address& address, const std::string& method,
                                  const std::string& target, const nlohmann::json& body);

}  // namespace argon::http
