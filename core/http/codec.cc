#include "core/http/codec.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace argon::http {

namespace {

namespace beast = boost::beast::http;
using RequestParser = beast::request_parser<beast::string_body>;
using ResponseParser = beast::response_parser<beast::string_body>;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

template <typename Parser>
void prepare(Parser& parser, const ReadLimits& limits) {
  parser.eager(true);
  parser.header_limit(static_cast<uint32_t>(limits.header_bytes));
  parser.body_limit(limits.body_bytes);
}

// Gives the parser what it can take of `in`; the bytes used. Errors as read_request.
template <typename Parser>
Result<size_t> feed(Parser& parser, ByteView in) {
  boost::system::error_code error;
  size_t used = parser.put(boost::asio::const_buffer(in.data(), in.size()), error);
  if (!error || error == beast::error::need_more) return used;
  bool limit = error == beast::error::header_limit || error == beast::error::body_limit;
  return Error(limit ? Code::NoSpace : Code::Invalid,
               limit ? "the message is longer than allowed" : "not HTTP/1.1: " + error.message());
}

// True once the message is complete; false where the stream ended before its first byte.
template <typename Parser>
Result<bool> receive(Task& task, wire::BufferedReader& in, Parser& parser, Duration patience) {
  bool begun = false;
  size_t seen = 0;  // bytes the parser could not use yet: it wants more behind them
  while (!parser.is_done()) {
    ByteView bytes;
    Deadline deadline(task, patience);
    if (seen == 0) {
      TRY_ASSIGN(bytes, in.peek_some(task));
      if (bytes.empty()) {
        if (!begun) return false;
        boost::system::error_code error;
        parser.put_eof(error);
        if (error)
          return Error(Code::Disconnected, in.stream().peer() + " closed the connection inside a message");
        continue;
      }
    } else {
      TRY_ASSIGN(bytes, in.peek(task, seen + 1));
      bytes = in.buffered();
    }
    begun = true;
    TRY_ASSIGN(size_t used, feed(parser, bytes));
    in.consume(used);
    seen = bytes.size() - used;
    if (used > 0 && seen > 0) continue;
  }
  return true;
}

template <typename Message>
Fields headers_of(const Message& message) {
  Fields headers;
  for (const auto& field : message) {
    std::string_view name(field.name_string().data(), field.name_string().size());
    std::string_view value(field.value().data(), field.value().size());
    headers[lower(name)] = value;
  }
  return headers;
}

Status parse_target(std::string_view target, Request& request) {
  size_t question = target.find('?');
  TRY_ASSIGN(request.path, url_decode(target.substr(0, question), false));
  if (question == std::string_view::npos) return {};
  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    size_t end = rest.find('&');
    std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    size_t equals = pair.find('=');
    TRY_ASSIGN(std::string name, url_decode(pair.substr(0, equals), true));
    std::string value;
    if (equals != std::string_view::npos) {
      TRY_ASSIGN(value, url_decode(pair.substr(equals + 1), true));
    }
    request.query[name] = value;
  }
  return {};
}

Result<ReceivedRequest> take(RequestParser& parser) {
  ReceivedRequest received;
  auto& message = parser.get();
  received.keep_alive = message.keep_alive();
  received.request.method = std::string(message.method_string().data(), message.method_string().size());
  TRY(parse_target({message.target().data(), message.target().size()}, received.request));
  received.request.headers = headers_of(message);
  received.request.body = std::move(message.body());
  return received;
}

Response take(ResponseParser& parser) {
  auto& message = parser.get();
  Response response;
  response.status = static_cast<int>(message.result_int());
  response.headers = headers_of(message);
  response.content_type = response.headers["content-type"];
  response.body = std::move(message.body());
  return response;
}

// A header's value must not end its line.
std::string one_line(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  return out;
}

void put_text(Bytes& out, std::string_view text) {
  append(out, as_bytes(text));
}

void put_header(Bytes& out, std::string_view name, std::string_view value) {
  put_text(out, one_line(name) + ": " + one_line(value) + "\r\n");
}

template <typename Parser>
Status feed_all(Parser& parser, ByteView in) {
  while (!parser.is_done()) {
    TRY_ASSIGN(size_t used, feed(parser, in));
    in = in.subspan(used);
    if (parser.is_done()) break;
    if (used == 0 || in.empty()) return Error(Code::Unavailable, "the message is incomplete");
  }
  return {};
}

}  // namespace

Result<std::optional<ReceivedRequest>> read_request(Task& task, wire::BufferedReader& in,
                                                    const ReadLimits& limits) {
  RequestParser parser;
  prepare(parser, limits);
  TRY_ASSIGN(bool complete, receive(task, in, parser, limits.patience));
  if (!complete) return std::optional<ReceivedRequest>();
  TRY_ASSIGN(ReceivedRequest received, take(parser));
  return std::optional<ReceivedRequest>(std::move(received));
}

Result<ReceivedResponse> read_response(Task& task, wire::BufferedReader& in, const ReadLimits& limits,
                                       bool head) {
  ResponseParser parser;
  prepare(parser, limits);
  parser.skip(head);
  Result<bool> complete = receive(task, in, parser, limits.patience);
  if (complete.is(Code::Invalid)) return Error(Code::Corrupt, complete.error().message());
  TRY(complete);
  if (!*complete)
    return Error(Code::Disconnected, in.stream().peer() + " closed the connection without an answer");
  // A body without a length ends with the connection.
  bool keep_alive = parser.get().keep_alive() && !parser.need_eof();
  return ReceivedResponse{take(parser), keep_alive};
}

Result<ReceivedRequest> parse_request(ByteView in, const ReadLimits& limits) {
  RequestParser parser;
  prepare(parser, limits);
  TRY(feed_all(parser, in));
  return take(parser);
}

Result<Response> parse_response(ByteView in, const ReadLimits& limits) {
  ResponseParser parser;
  prepare(parser, limits);
  TRY(feed_all(parser, in));
  return take(parser);
}

void encode_response(Bytes& out, const Response& response, bool keep_alive, bool without_body) {
  put_text(out, "HTTP/1.1 " + std::to_string(response.status) + " " +
                    std::string(reason_of(response.status)) + "\r\n");
  if (!response.content_type.empty()) put_header(out, "Content-Type", response.content_type);
  for (const auto& [name, value] : response.headers) put_header(out, name, value);
  if (response.status != 204) put_header(out, "Content-Length", std::to_string(response.body.size()));
  put_header(out, "Connection", keep_alive ? "keep-alive" : "close");
  put_text(out, "\r\n");
  if (!without_body && response.status != 204) put_text(out, response.body);
}

void encode_request_head(Bytes& out, const RequestHead& head) {
  put_text(out, one_line(head.method) + " " + one_line(head.target) + " HTTP/1.1\r\n");
  put_header(out, "Host", head.host);
  for (const auto& [name, value] : head.headers) put_header(out, name, value);
  if (head.content_length > 0 && !head.content_type.empty())
    put_header(out, "Content-Type", head.content_type);
  if (head.content_length > 0 || (head.method != "GET" && head.method != "HEAD"))
    put_header(out, "Content-Length", std::to_string(head.content_length));
  put_header(out, "Connection", head.keep_alive ? "keep-alive" : "close");
  put_text(out, "\r\n");
}

}  // namespace argon::http
