#include "core/http/server.h"

#include "core/fiber/scope.h"
#include "core/fiber/sync.h"
#include "core/http/codec.h"

namespace argon::http {

namespace {

Status answer(Task& task, Stream& stream, const Response& response, bool keep_alive, bool without_body) {
  wire::BufferedWriter out(stream);
  encode_response(out.buffer(), response, keep_alive, without_body);
  return out.flush(task);
}

// Ends our side and reads what still comes, for a while: closing with unread bytes would reset the
// connection, and the client might never see the answer.
Status linger(Task& task, Stream& stream) {
  constexpr size_t kMost = 8u << 20;
  Deadline deadline(task, Duration::seconds(2));
  TRY(stream.shutdown_write(task));
  Bytes dropped(16 * 1024);
  for (size_t total = 0; total < kMost;) {
    TRY_ASSIGN(size_t n, stream.read(task, dropped));
    if (n == 0) break;
    total += n;
  }
  return {};
}

// What a request that could not be read is told; ok where there is nobody to tell.
Status answer_unreadable(Task& task, Stream& stream, const Error& error) {
  if (error.code() != Code::Invalid && error.code() != Code::NoSpace) return error;
  Response response = error_response(error);
  if (error.code() == Code::NoSpace) response.status = 413;
  TRY(answer(task, stream, response, false, false));
  return linger(task, stream);
}

}  // namespace

Status serve_connection(Task& task, Stream& stream, const Router& router, const ServerLimits& limits) {
  wire::BufferedReader in(stream);
  ReadLimits read_limits{limits.header_bytes, limits.body_bytes};
  while (true) {
    {
      Deadline deadline(task, limits.idle);
      TRY_ASSIGN(ByteView first, in.peek_some(task));
      if (first.empty()) return {};
    }
    Result<std::optional<ReceivedRequest>> received = [&] {
      Deadline deadline(task, limits.request);
      return read_request(task, in, read_limits);
    }();
    if (!received.ok()) return answer_unreadable(task, stream, received.error());
    if (!received->has_value()) return {};
    Request& request = (*received)->request;
    Response response = router.handle(task, request);
    Deadline deadline(task, limits.request);
    bool keep_alive = (*received)->keep_alive && !task.cancelled();
    TRY(answer(task, stream, response, keep_alive, request.method == "HEAD"));
    if (!keep_alive) return {};
  }
}

Status serve(Task& task, Listener& listener, const Router& router, const ServerLimits& limits) {
  Scope scope(task);
  Semaphore permits(limits.connections);
  Status ended;
  while (ended.ok()) {
    ended = permits.acquire(task);
    if (!ended.ok()) break;
    Result<std::unique_ptr<Stream>> accepted = listener.accept(task);
    if (accepted.is(Code::Io)) {  // out of descriptors: others will close some
      permits.release();
      ended = task.sleep(Duration::milliseconds(100));
      continue;
    }
    if (!accepted.ok()) {
      ended = accepted.error();
      break;
    }
    std::shared_ptr<Stream> stream = *std::move(accepted);
    scope.spawn("http", [&, stream](Task& connection) -> Status {
      // A connection that breaks is no reason to stop serving.
      ignore_result(serve_connection(connection, *stream, router, limits));
      permits.release();
      return {};
    });
  }
  ignore_result(scope.stop(task));
  return ended;
}

}  // namespace argon::http
