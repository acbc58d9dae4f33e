#include "core/safekeeper/wal_service.h"

namespace argon::safekeeper {
namespace {

constexpr Duration kFirstBytesTimeout = Duration::seconds(10);

}  // namespace

Status WalService::serve(Task& task, Listener& listener) {
  Scope scope(task);
  Status ended;
  for (;;) {
    auto accepted = listener.accept(task);
    if (accepted.is(Code::Io)) {
      log_.warn("accept: {}", accepted.error().to_string());
      if (task.sleep(Duration::milliseconds(100)).ok()) continue;
    }
    if (!accepted.ok()) {
      ended = accepted.error();
      break;
    }
    if (connections_ >= config_.connections_max) {
      log_.warn("{} connections are open, refused {}", connections_, (*accepted)->peer());
      continue;
    }
    ++connections_;
    std::shared_ptr<Stream> stream = *std::move(accepted);
    scope.spawn("wal " + stream->peer(), [this, stream](Task& t) {
      Status done = serve_connection(t, *stream);
      --connections_;
      if (!done.ok() && !done.is(Code::Disconnected) && !done.is(Code::Cancelled))
        log_.info("connection from {} ended: {}", stream->peer(), done.error().to_string());
      return Status();
    });
  }
  ignore_result(scope.stop(task));  // each connection has logged its own end
  return ended;
}

Status WalService::serve_connection(Task& task, Stream& stream) {
  wire::BufferedReader in(stream);
  bool frames = false;
  {
    Deadline deadline(task, kFirstBytesTimeout);
    TRY_ASSIGN(frames, wire::peek_hello(task, in));
  }
  return frames ? serve_proposer(task, in, stream) : serve_postgres(task, in, stream);
}

}  // namespace argon::safekeeper
