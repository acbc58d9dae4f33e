#include "sim/postgres/server.h"

#include <algorithm>
#include <csignal>

#include "core/base/checksum.h"
#include "core/base/codec.h"
#include "core/env/io.h"
#include "sim/postgres/protocol.h"

namespace argon::sim {
namespace {

// Bytes of one connection that are under way in this process, each direction.
constexpr size_t kUnderWay = SIM_SPACE_AT_FIRST;
constexpr size_t kChunk = 64 << 10;
constexpr Duration kConnectTimeout = Duration::seconds(10);
// What the server does between two requests takes so long on average.
constexpr Duration kWork = Duration::microseconds(40);

void put_item(Bytes& frame, SimItemKind kind, uint32_t connection, ByteView bytes) {
  SimItem item{static_cast<uint32_t>(kind), connection, static_cast<uint32_t>(bytes.size())};
  Writer(frame).bytes({reinterpret_cast<const uint8_t*>(&item), sizeof item}).bytes(bytes);
}

struct FrameReader {
  ByteView left;

  bool next(SimItem& item, ByteView& bytes) {
    if (left.empty()) return false;
    CHECK(left.size() >= sizeof item);
    std::copy_n(left.data(), sizeof item, reinterpret_cast<uint8_t*>(&item));
    CHECK(left.size() >= sizeof item + item.bytes);
    bytes = left.subspan(sizeof item, item.bytes);
    left = left.subspan(sizeof item + item.bytes);
    return true;
  }
};

}  // namespace

// The server knows it from SIM_OPEN on, until either side has said SIM_CLOSE.
struct PostgresServer::Connection {
  Address address;
  Bytes out;                // from the server, not yet on the network
  bool out_closed = false;  // nothing more comes from the server, which has forgotten the connection
  bool limited = false;     // the server was told that there is less space than it might want
  Bytes in;                 // for the server
  bool ended = false;       // nothing more comes from the peer
  WaitList out_changed;
  WaitList in_changed;
};

PostgresServer::PostgresServer(Scope& parent, Env& env, World& world, uint16_t node, PostgresHost& host)
    : env_(env),
      world_(world),
      node_(node),
      host_(host),
      cost_(env.random("postgres.work")),
      scope_(parent) {}

PostgresServer::~PostgresServer() {
  end_now();
}

void PostgresServer::end_now(bool told) {
  if (server_ != 0) host_.end(server_, told);
  server_ = 0;
}

Status PostgresServer::stop(Task& task) {
  end_now();
  return scope_.stop(task);
}

Result<PostgresServer::Said> PostgresServer::start(Task& task, PostgresArchive* archive, ByteView more) {
  CHECK(server_ == 0);
  server_ =
      host_.start(env_.random("postgres.seed").next(), archive != nullptr ? archive->number() : 0, more);
  frame_ = host_.run(server_, {});
  return answer(task);
}

Result<PostgresServer::Said> PostgresServer::execute(Task& task, std::string_view line) {
  resume(std::string(line) + "\n");
  return answer(task);
}

Result<PostgresServer::Said> PostgresServer::finish(Task& task) {
  resume("");
  return answer(task);
}

// Until it asks for a statement or has ended.
Result<PostgresServer::Said> PostgresServer::answer(Task& task) {
  Said said;
  for (;;) {
    std::optional<Duration> wait;
    if (take_frame(said, wait)) return said;
    TRY(wait_for_news(task, wait));
    TRY(task.sleep(cost_.exponential(kWork)));
    resume(std::nullopt);
  }
}

// True where it has come to the end of what it was asked. `wait`: how long it wants to wait at most.
bool PostgresServer::take_frame(Said& said, std::optional<Duration>& wait) {
  FrameReader reader{frame_};
  SimItem item;
  ByteView bytes;
  Bytes hashed;
  bool done = false;
  while (reader.next(item, bytes)) {
    auto found = connections_.find(item.connection);
    switch (item.kind) {
      case SIM_OPEN:
        open(item.connection, as_text(bytes));
        break;
      case SIM_DATA:
        CHECK(found != connections_.end());
        found->second->out.insert(found->second->out.end(), bytes.begin(), bytes.end());
        found->second->out_changed.notify_all();
        break;
      case SIM_CLOSE:
        CHECK(found != connections_.end());
        found->second->out_closed = true;
        found->second->out_changed.notify_all();
        break;
      case SIM_OUTPUT:
        said.output += as_text(bytes);
        break;
      case SIM_LOG:
        said.log += as_text(bytes);
        continue;
      case SIM_WAIT:
        if (int64_t ns = load_le<int64_t>(bytes.data()); ns >= 0) wait = Duration::nanoseconds(ns);
        break;
      case SIM_NEXT:
        done = true;
        break;
      case SIM_ENDED:
        said.ended = done = true;
        said.status = load_le<int32_t>(bytes.data());
        end_now(true);
        break;
      default:
        CHECK(false, "unknown item from a server");
    }
    put_item(hashed, static_cast<SimItemKind>(item.kind), item.connection, bytes);
  }
  world_.record(EventKind::Note, node_, static_cast<uint32_t>(hashed.size()), hash128(hashed).low);
  frame_.clear();
  return done;
}

void PostgresServer::resume(const std::optional<std::string>& line) {
  CHECK(server_ != 0);
  Bytes items;
  Bytes time;
  Writer(time).le(env_.now().ns).le(env_.wall_now().ns);
  put_item(items, SIM_TIME, 0, time);
  for (auto at = connections_.begin(); at != connections_.end();) {
    Connection& c = *at->second;
    if (!c.out_closed) {
      if (!c.in.empty()) put_item(items, SIM_DATA, at->first, c.in);
      c.in.clear();
      c.in_changed.notify_all();
      if (c.ended) {
        put_item(items, SIM_CLOSE, at->first, {});
        c.out_closed = true;
        c.out_changed.notify_all();
      } else {
        auto space = static_cast<uint32_t>(kUnderWay - std::min(kUnderWay, c.out.size()));
        c.limited = space < kUnderWay / 2;
        Bytes value;
        Writer(value).le(space);
        put_item(items, SIM_SPACE, at->first, value);
      }
    }
    at = c.out_closed && c.ended ? connections_.erase(at) : std::next(at);
  }
  if (line && reloads_) {
    Bytes signal;
    Writer(signal).le(int32_t{SIGHUP});
    put_item(items, SIM_SIGNAL, 0, signal);
    reloads_ = false;
  }
  if (line) put_item(items, SIM_STATEMENT, 0, as_bytes(*line));
  frame_ = host_.run(server_, items);
}

bool PostgresServer::has_news() const {
  for (const auto& [id, c] : connections_) {
    if (c->out_closed) continue;
    if (!c->in.empty() || c->ended || (c->limited && c->out.size() < kUnderWay / 4)) return true;
  }
  return false;
}

Status PostgresServer::wait_for_news(Task& task, std::optional<Duration> limit) {
  MonotonicTime until = limit ? env_.now() + *limit : MonotonicTime::max();
  while (!has_news() && env_.now() < until) {
    Status waited;
    if (limit) {
      Deadline deadline(task, until);
      waited = news_.wait(task);
    } else {
      waited = news_.wait(task);
    }
    if (!waited.ok() && !(waited.is(Code::TimedOut) && env_.now() >= until)) return waited;
  }
  return {};
}

void PostgresServer::open(uint32_t id, std::string_view address) {
  auto made = std::make_unique<Connection>();
  Connection& connection = *made;
  Result<Address> parsed = parse_address(address);
  if (parsed.ok())
    connection.address = *parsed;
  else
    connection.ended = true;  // nobody is there
  connections_[id] = std::move(made);
  if (parsed.ok())
    scope_.spawn("server's connection", [this, &connection](Task& t) { return serve(t, connection); });
}

// The connection's own end is nobody's error. It stays in the map until this has ended.
Status PostgresServer::serve(Task& task, Connection& connection) {
  Result<std::unique_ptr<Stream>> stream = [&] {
    Deadline deadline(task, kConnectTimeout);
    return env_.network().connect(task, connection.address);
  }();
  if (stream.ok()) {
    Scope both(task);
    both.spawn("out", [&](Task& t) { return write_out(t, connection, **stream); });
    both.spawn("in", [&](Task& t) { return read_in(t, connection, **stream); });
    ignore_result(both.join(task));
    (*stream)->close();
  }
  connection.ended = true;
  news_.notify_all();
  return {};
}

Status PostgresServer::write_out(Task& task, Connection& connection, Stream& stream) {
  for (;;) {
    while (connection.out.empty()) {
      if (connection.out_closed) return Error(Code::Disconnected, "closed by the server");
      TRY(connection.out_changed.wait(task));
    }
    Bytes chunk(connection.out.begin(),
                connection.out.begin() + static_cast<ptrdiff_t>(std::min(kChunk, connection.out.size())));
    TRY_ASSIGN(size_t n, stream.write(task, chunk));
    connection.out.erase(connection.out.begin(), connection.out.begin() + static_cast<ptrdiff_t>(n));
    if (connection.limited) news_.notify_all();
  }
}

Status PostgresServer::read_in(Task& task, Connection& connection, Stream& stream) {
  Bytes chunk(kChunk);
  for (;;) {
    while (connection.in.size() >= kUnderWay) TRY(connection.in_changed.wait(task));
    TRY_ASSIGN(size_t n, stream.read(task, chunk));
    if (n == 0) return Error(Code::Disconnected, "closed by the peer");
    if (connection.out_closed) continue;  // nobody reads it any more
    connection.in.insert(connection.in.end(), chunk.begin(), chunk.begin() + static_cast<ptrdiff_t>(n));
    news_.notify_all();
  }
}

}  // namespace argon::sim
