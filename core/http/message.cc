#include "core/http/message.h"

#include <array>
#include <nlohmann/json.hpp>

namespace argon::http {

namespace {

constexpr std::array<std::pair<int, std::string_view>, 22> kReasons = {{
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {412, "Precondition Failed"},
    {413, "Payload Too Large"},
    {416, "Range Not Satisfiable"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {507, "Insufficient Storage"},
}};

Code code_of_status(int status) {
  switch (status) {
    case 400:
      return Code::Invalid;
    case 404:
      return Code::NotFound;
    case 409:
      return Code::AlreadyExists;
    case 412:
      return Code::Stale;
    case 408:
    case 429:
    case 503:
      return Code::Unavailable;
    case 501:
      return Code::Unsupported;
    case 504:
      return Code::TimedOut;
    case 507:
      return Code::NoSpace;
    default:
      return Code::Io;
  }
}

Result<nlohmann::json> parse_body(const std::string& body, std::string_view whose) {
  nlohmann::json value = nlohmann::json::parse(body, nullptr, false);
  if (value.is_discarded())
    return Error(Code::Invalid, "the body of the " + std::string(whose) + " is not JSON");
  return value;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

const std::string& Request::parameter(const std::string& name) const {
  auto at = parameters.find(name);
  CHECK(at != parameters.end(), "the route has no parameter " + name);
  return at->second;
}

Result<nlohmann::json> Request::json() const {
  if (body.empty()) return nlohmann::json::object();
  return parse_body(body, "request");
}

Result<nlohmann::json> Response::json() const {
  if (body.empty()) return nlohmann::json();
  return parse_body(body, "response");
}

Response json_response(const nlohmann::json& body, int status) {
  return {status,
          "application/json",
          body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
          {}};
}

Response text_response(std::string body, int status) {
  return {status, "text/plain; charset=utf-8", std::move(body), {}};
}

Response error_response(const Error& error) {
  nlohmann::json body = {{"msg", error.message()}, {"code", to_string(error.code())}};
  return json_response(body, status_of(error.code()));
}

int status_of(Code code) {
  switch (code) {
    case Code::NotFound:
      return 404;
    case Code::AlreadyExists:
      return 409;
    case Code::Invalid:
      return 400;
    case Code::Unsupported:
      return 501;
    case Code::Unavailable:
    case Code::Cancelled:
    case Code::Disconnected:
      return 503;
    case Code::TimedOut:
      return 504;
    case Code::Stale:
      return 412;
    case Code::NoSpace:
      return 507;
    case Code::Corrupt:
    case Code::MaybeApplied:
    case Code::Io:
      return 500;
  }
  return 500;
}

Status check_response(const Response& response) {
  if (response.status < 400) return {};
  std::string message =
      "status " + std::to_string(response.status) + " " + std::string(reason_of(response.status));
  nlohmann::json body = nlohmann::json::parse(response.body, nullptr, false);
  if (body.is_object() && body.contains("msg") && body["msg"].is_string())
    message = body["msg"].get<std::string>();
  return Error(code_of_status(response.status), message);
}

std::string_view reason_of(int status) {
  for (const auto& [known, reason] : kReasons)
    if (known == status) return reason;
  return "Unknown";
}

Result<std::string> url_decode(std::string_view text, bool plus_is_blank) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '%') {
      int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return Error(Code::Invalid, "broken escape in \"" + std::string(text) + "\"");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string url_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                 c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      auto byte = static_cast<uint8_t>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

}  // namespace argon::http
