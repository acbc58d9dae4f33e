#include "core/compute/worker_link.h"

#include "core/base/codec.h"
#include "core/env/io.h"

namespace argon::compute {
namespace {

constexpr uint32_t kProtocol = 3;
// A WAL frame holds at most 128 KiB of WAL behind its position.
constexpr uint32_t kFrameMax = 256 * 1024;
constexpr Duration kPositionsInterval = Duration::seconds(1);
constexpr uint32_t kOldestServer = 150'013;
constexpr uint32_t kNewestServer = 159'999;

struct Frame {
  uint8_t tag = 0;
  ByteView body;  // until the next one is read
};

Result<Frame> read_frame(Task& task, wire::BufferedReader& in) {
  TRY_ASSIGN(ByteView header, in.peek(task, sizeof(uint32_t)));
  uint32_t length = load_be<uint32_t>(header.data());
  if (length < 1 || length > kFrameMax)
    return Error(Code::Corrupt, "a frame from the server claims " + std::to_string(length) + " bytes");
  size_t size = sizeof(uint32_t) + length;
  TRY_ASSIGN(ByteView whole, in.peek(task, size));
  in.consume(size);
  return Frame{whole[sizeof(uint32_t)], whole.subspan(sizeof(uint32_t) + 1)};
}

Status write_frame(Task& task, Stream& stream, uint8_t tag, ByteView body) {
  Bytes out;
  Writer(out).be(static_cast<uint32_t>(body.size() + 1)).u8(tag).bytes(body);
  return write_all(task, stream, out);
}

}  // namespace

Status WorkerLink::listen(Task& task, const std::string& path) {
  Status removed = env_.disk().unlink(task, path);
  if (!removed.ok() && !removed.is(Code::NotFound)) return removed;
  TRY_ASSIGN(listener_, env_.network().listen(task, Address::unix_socket(path)));
  return {};
}

Status WorkerLink::serve(Task& task) {
  for (;;) {
    Result<std::unique_ptr<Stream>> stream = listener_->accept(task);
    if (stream.is(Code::Io)) {
      log_.warn("accept on the server's socket: {}", stream.error().to_string());
      TRY(task.sleep(Duration::milliseconds(100)));
      continue;
    }
    TRY(stream);
    Status ended = serve_connection(task, **stream);
    (*stream)->close();
    if (task.cancelled()) return Error(Code::Cancelled, "the sidecar stops");
    log_.debug("connection of the server ended: {}", ended.ok() ? "closed" : ended.error().to_string());
  }
}

Status WorkerLink::serve_connection(Task& task, Stream& stream) {
  wire::BufferedReader in(stream);
  TRY_ASSIGN(Frame hello, read_frame(task, in));
  if (hello.tag != 'H') return Error(Code::Corrupt, "the server's first frame is not a hello");
  TRY(greet(task, stream, hello.body));
  Scope connection(task);
  connection.spawn("read from postgres", [&](Task& t) { return read_frames(t, in); });
  connection.spawn("positions to postgres", [&](Task& t) { return send_positions(t, stream); });
  reads_asked_.reset();
  if (driver_ != nullptr)
    connection.spawn("confirm reads", [&](Task& t) { return confirm_reads(t, stream); });
  return connection.join(task);
}

Status WorkerLink::greet(Task& task, Stream& stream, ByteView hello) {
  Reader in(hello);
  uint32_t protocol = in.be<uint32_t>();
  uint32_t version = in.be<uint32_t>();
  uint64_t system_id = in.be<uint64_t>();
  Lsn start(in.be<uint64_t>());
  std::string problem;
  if (!in.finished() || protocol != kProtocol)
    problem =
        "the extension speaks another protocol (" + std::to_string(protocol) + ") than this sidecar (3)";
  else if (version < kOldestServer || version > kNewestServer)
    problem = "server version " + std::to_string(version) + " is not PostgreSQL 15.13 or a newer 15";
  else if (system_id != system_id_)
    problem = "the server's system identifier " + std::to_string(system_id) + " is not the timeline's";
  else if (driver_ != nullptr && !driver_->lost().ok())
    problem = "this endpoint may not write any more: " + driver_->lost().error().message();
  Lsn ship_from = driver_ != nullptr ? driver_->end() : start;
  Bytes answer;
  Writer(answer).be(kProtocol).be(ship_from.value).u8(problem.empty()).bytes(as_bytes(problem));
  TRY(write_frame(task, stream, 'h', answer));
  if (!problem.empty()) return Error(Code::Invalid, problem);
  greeted_ = true;
  return {};
}

Status WorkerLink::read_frames(Task& task, wire::BufferedReader& in) {
  for (;;) {
    TRY_ASSIGN(Frame frame, read_frame(task, in));
    Reader body(frame.body);
    Lsn lsn(body.be<uint64_t>());
    if (body.failed()) return Error(Code::Corrupt, "a frame from the server is too short");
    switch (frame.tag) {
      case 'W': {
        if (driver_ == nullptr) return Error(Code::Invalid, "an endpoint that only reads sent WAL");
        ByteView wal = body.rest();
        // A new connection may repeat what came in over the last one.
        if (lsn < driver_->end()) {
          uint64_t known = driver_->end() - lsn;
          if (known >= wal.size()) break;
          wal = wal.subspan(known);
          lsn += known;
        }
        TRY(driver_->append(task, lsn, wal));
        received_ = driver_->end();
        break;
      }
      case 'K':
        break;
      case 'L': {
        auto patience = body.be<uint32_t>();
        if (body.failed()) return Error(Code::Corrupt, "a frame from the server is too short");
        reads_asked_ = {lsn.value, Duration::milliseconds(patience)};
        reads_news_.notify_all();
        break;
      }
      case 'C':
        log_.info("the server wrote its last checkpoint; its WAL ends at {}", to_string(lsn));
        break;
      default:
        return Error(Code::Corrupt, "unknown frame '" + std::string(1, static_cast<char>(frame.tag)) + "'");
    }
  }
}

Status WorkerLink::send(Task& task, Stream& stream, uint8_t tag, ByteView body) {
  Lock lock;
  TRY(lock.acquire(task, sending_));
  return write_frame(task, stream, tag, body);
}

Status WorkerLink::confirm_reads(Task& task, Stream& stream) {
  QuorumContact quorum(*driver_);
  for (;;) {
    while (!reads_asked_) TRY(reads_news_.wait(task));
    ReadsAsked asked = *std::exchange(reads_asked_, std::nullopt);
    Status done = quorum.ask(task, asked.patience, [&](Task& t) {
      Bytes body;
      Writer(body).be(asked.time);
      return send(t, stream, 'l', body);
    });
    if (done.is(Code::Cancelled) || done.is(Code::Disconnected)) return done;
    if (!done.ok()) log_.debug("reads are not confirmed: {}", done.error().to_string());
  }
}

Status WorkerLink::send_positions(Task& task, Stream& stream) {
  Bytes sent;
  for (bool due = true;;) {
    uint64_t seen = driver_ != nullptr ? driver_->changes() : 0;
    if (driver_ != nullptr && !driver_->lost().ok()) {
      ignore_result(send(task, stream, 'X', as_bytes(driver_->lost().error().message())));
      return driver_->lost();
    }
    PageserverPositions pageserver = driver_ != nullptr ? driver_->pageserver() : PageserverPositions();
    Lsn committed = driver_ != nullptr ? driver_->committed() : Lsn();
    Bytes body;
    Writer(body)
        .be(committed.value)
        .be(pageserver.last_received.value)
        .be(pageserver.disk_consistent.value)
        .be(pageserver.remote_consistent.value)
        .be(pageserver.timeline_bytes);
    if (due || body != sent) {
      TRY(send(task, stream, 'P', body));
      sent = body;
    }
    Status waited;
    if (driver_ != nullptr) {
      Deadline deadline(task, kPositionsInterval);
      waited = driver_->wait_change(task, seen);
    } else {
      waited = task.sleep(kPositionsInterval);
    }
    if (!waited.ok() && !waited.is(Code::TimedOut)) return waited;
    due = !waited.ok() || driver_ == nullptr;
  }
}

}  // namespace argon::compute
