// HTTP/1.1 requests and responses, and how an Error becomes one.

#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace argon::http {

using Fields = std::map<std::string, std::string>;

struct Request {
  std::string method;  // "GET"
  std::string path;    // decoded, without the query
  Fields parameters;   // of the route: "/v1/tenant/:tenant" gives "tenant"
  Fields query;        // decoded
  Fields headers;      // names in lower case
  std::string body;

  // A parameter of the route. REQUIRES: the route has it.
  const std::string& parameter(const std::string& name) const;
  // Invalid where the body is not JSON; an empty body is an empty object.
  Result<nlohmann::json> json() const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  Fields headers;  // further ones

  // Of a client: Invalid where the body is not JSON.
  Result<nlohmann::json> json() const;
};

Response json_response(const nlohmann::json& body, int status = 200);
Response text_response(std::string body, int status = 200);
// {"msg": "…", "code": "not found"} with the status that fits the code.
Response error_response(const Error& error);
int status_of(Code code);
// Of a client: the error that a response with status >= 400 tells; ok below.
Status check_response(const Response& response);

// The reason phrase: "Not Found".
std::string_view reason_of(int status);
// "%41+b" is "A b" in a query. Invalid for a broken escape.
Result<std::string> url_decode(std::string_view text, bool plus_is_blank);
std::string url_encode(std::string_view text);

}  // namespace argon::http
