// An HTTP/1.1 client: one request over a connection of its own, or many over connections that stay open.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/env/env.h"
#include "core/http/message.h"

namespace argon::http {

// Where the bytes of a request's body come from, piece by piece; read from the start for each attempt.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual uint64_t size() const = 0;
  // Fills `into` from offset. REQUIRES: offset + into.size() <= size().
  virtual Status read(Task& task, uint64_t offset, ByteSpan into) = 0;
};

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query, encoded
  Fields headers;
  std::string body;
  std::string content_type = "application/json";
  BodySource* source = nullptr;  // instead of `body`; borrowed
};

// Connects, sends, reads the whole response (at most `body_limit` bytes). Give the task a Deadline.
// Errors: those of connect; Disconnected and TimedOut once the request may have been received; Corrupt.
// A status >= 400 is a response, not an error: see check_response().
Result<Response> fetch(Task& task, const Address& address, const ClientRequest& request,
                       size_t body_limit = 16 * 1024 * 1024);

// fetch() of JSON: sends `body` unless null, checks the status, parses the answer (null where empty).
Result<nlohmann::json> fetch_json(Task& task, const Address& address, const std::string& method,
                                  const std::string& target, const nlohmann::json& body);

struct ReceivedResponse;

// How a stream to the server is made. Errors as Network::connect.
using Connect = std::function<Result<std::unique_ptr<Stream>>(Task&)>;

// Connections to one server that carry one request after the other. As many at once as there are requests; of
// those that idle a few are kept, for less time than servers wait for a request.
class KeptConnections {
 public:
  // `host`: what the server is called, as the header Host has it. `patience`: how long a connection may take
  // to be made, or to carry not one byte, until the request is given up (TimedOut).
  KeptConnections(Connect connect, std::string host, Duration patience);
  ~KeptConnections();

  // As fetch(), but Unavailable where there was no connection, so that nothing was sent; and then only (but
  // for errors of the body's source). A GET or HEAD that a kept connection did not carry is sent once more,
  // over a new one.
  Result<Response> fetch(Task& task, const ClientRequest& request, size_t body_limit);

  size_t idle() const { return idle_.size(); }

 private:
  struct Kept;
  Result<std::unique_ptr<Kept>> take(Task& task);
  Result<std::unique_ptr<Kept>> connect(Task& task);
  static bool is_open(Task& task, Kept& kept);
  Result<ReceivedResponse> exchange(Task& task, Kept& connection, const ClientRequest& request,
                                    size_t body_limit);

  Connect connect_;
  std::string host_;
  Duration patience_;
  std::vector<std::unique_ptr<Kept>> idle_;
};

}  // namespace argon::http
