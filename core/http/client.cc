#include "core/http/client.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/http/codec.h"

namespace argon::http {
namespace {

constexpr size_t kHeaderBytes = 64 * 1024;
constexpr size_t kPieceBytes = 128 * 1024;
constexpr Duration kIdleTime = Duration::seconds(3);
constexpr size_t kIdleMax = 8;

Status send_request(Task& task, Stream& stream, const std::string& host, const ClientRequest& request,
                    bool keep_alive, Duration patience) {
  wire::BufferedWriter out(stream);
  auto flush = [&]() -> Status {
    Deadline deadline(task, patience);
    return out.flush(task);
  };
  uint64_t size = request.source != nullptr ? request.source->size() : request.body.size();
  encode_request_head(out.buffer(), {request.method, request.target, host, request.headers,
                                     request.content_type, size, keep_alive});
  if (request.source == nullptr) append(out.buffer(), as_bytes(request.body));
  for (uint64_t at = 0; request.source != nullptr && at < size;) {
    size_t head = out.buffer().size();
    size_t piece = std::min<uint64_t>(kPieceBytes, size - at);
    out.buffer().resize(head + piece);
    TRY(request.source->read(task, at, ByteSpan(out.buffer()).subspan(head)));
    TRY(flush());
    at += piece;
  }
  return flush();
}

}  // namespace

Result<Response> fetch(Task& task, const Address& address, const ClientRequest& request, size_t body_limit) {
  TRY_ASSIGN(std::unique_ptr<Stream> stream, task.env().network().connect(task, address));
  std::string host = address.is_unix() ? "localhost" : to_string(address);
  TRY(send_request(task, *stream, host, request, false, Duration::max()));
  wire::BufferedReader in(*stream);
  TRY_ASSIGN(ReceivedResponse received,
             read_response(task, in, ReadLimits{kHeaderBytes, body_limit}, request.method == "HEAD"));
  return std::move(received.response);
}

Result<nlohmann::json> fetch_json(Task& task, const Address& address, const std::string& method,
                                  const std::string& target, const nlohmann::json& body) {
  ClientRequest request{method, target, {}, body.is_null() ? "" : body.dump(), "application/json", nullptr};
  std::string context = method + " " + to_string(address) + target;
  TRY_ASSIGN(Response response, fetch(task, address, request).with(context));
  TRY(check_response(response).with(context));
  return response.json().with(context);
}

struct KeptConnections::Kept {
  explicit Kept(std::unique_ptr<Stream> made) : stream(std::move(made)), in(*stream) {}
  std::unique_ptr<Stream> stream;
  wire::BufferedReader in;
  bool used = false;
  MonotonicTime idle_since;
};

Result<ReceivedResponse> KeptConnections::exchange(Task& task, Kept& connection, const ClientRequest& request,
                                                   size_t body_limit) {
  TRY(send_request(task, *connection.stream, host_, request, true, patience_));
  return read_response(task, connection.in, {kHeaderBytes, body_limit, patience_}, request.method == "HEAD");
}

KeptConnections::KeptConnections(Connect connect, std::string host, Duration patience)
    : connect_(std::move(connect)), host_(std::move(host)), patience_(patience) {}
KeptConnections::~KeptConnections() = default;

Result<std::unique_ptr<KeptConnections::Kept>> KeptConnections::connect(Task& task) {
  Deadline deadline(task, patience_);
  Result<std::unique_ptr<Stream>> stream = connect_(task);
  if (stream.is(Code::Cancelled)) return stream.error();
  if (!stream.ok()) return Error(Code::Unavailable, stream.error().message(), stream.error().os_error());
  return std::make_unique<Kept>(*std::move(stream));
}

Result<std::unique_ptr<KeptConnections::Kept>> KeptConnections::take(Task& task) {
  MonotonicTime now = task.env().now();
  std::erase_if(idle_, [now](const auto& kept) { return now - kept->idle_since > kIdleTime; });
  while (!idle_.empty()) {
    std::unique_ptr<Kept> kept = std::move(idle_.back());
    idle_.pop_back();
    if (is_open(task, *kept)) return kept;
  }
  return connect(task);
}

// The server has neither closed it nor said anything unasked.
bool KeptConnections::is_open(Task& task, Kept& kept) {
  Deadline soon(task, Duration::microseconds(1));
  return kept.in.peek_some(task).is(Code::TimedOut);
}

Result<Response> KeptConnections::fetch(Task& task, const ClientRequest& request, size_t body_limit) {
  bool changes_nothing = request.method == "GET" || request.method == "HEAD";
  Result<std::unique_ptr<Kept>> kept = take(task);
  for (;;) {
    TRY(kept);
    Kept& connection = **kept;
    Result<ReceivedResponse> received = exchange(task, connection, request, body_limit);
    if (received.ok()) {
      connection.used = true;
      connection.idle_since = task.env().now();
      if (received->keep_alive && connection.in.buffered().empty() && idle_.size() < kIdleMax)
        idle_.push_back(*std::move(kept));
      return std::move(received->response);
    }
    // The server closed it just now, most likely.
    if (!changes_nothing || !connection.used || !received.is(Code::Disconnected)) return received.error();
    kept = connect(task);
  }
}

}  // namespace argon::http
