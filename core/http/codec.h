// HTTP/1.1 messages on a stream: reading by Boost.Beast's parser, writing by hand.

#pragma once

#include <optional>

#include "core/http/message.h"
#include "core/wire/buffered.h"

namespace argon::http {

struct ReadLimits {
  size_t header_bytes;
  size_t body_bytes;
  Duration patience = Duration::max();  // without a byte, inside a message; then TimedOut
};

struct ReceivedRequest {
  Request request;
  bool keep_alive = false;
};

// Nothing where the stream ended before a request began. Errors: Invalid (malformed: answer 400),
// NoSpace (beyond a limit: answer 413), the stream's. `on_begin` is called once the first byte is there.
Result<std::optional<ReceivedRequest>> read_request(Task& task, wire::BufferedReader& in,
                                                    const ReadLimits& limits);
struct ReceivedResponse {
  Response response;
  bool keep_alive = false;  // the connection may carry another request
};

// Errors: Corrupt, NoSpace, the stream's. `head` says the request was HEAD, so that no body follows.
Result<ReceivedResponse> read_response(Task& task, wire::BufferedReader& in, const ReadLimits& limits,
                                       bool head);

// Whole buffers through the same code, for fuzzing and properties: Unavailable where incomplete.
Result<ReceivedRequest> parse_request(ByteView in, const ReadLimits& limits);
Result<Response> parse_response(ByteView in, const ReadLimits& limits);

void encode_response(Bytes& out, const Response& response, bool keep_alive, bool without_body);

struct RequestHead {
  std::string method;
  std::string target;
  std::string host;
  Fields headers;            // further ones
  std::string content_type;  // of the body, where there is one
  uint64_t content_length = 0;
  bool keep_alive = false;
};
// So many bytes of body must follow.
void encode_request_head(Bytes& out, const RequestHead& head);

}  // namespace argon::http
