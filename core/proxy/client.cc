#include "core/proxy/client.h"

#include "core/env/io.h"
#include "core/wire/pg_messages.h"

namespace argon::proxy {
namespace {

constexpr size_t kCopyBytes = 32 * 1024;
constexpr Duration kConnectTimeout = Duration::seconds(5);
constexpr Duration kFirstPause = Duration::milliseconds(20);
constexpr Duration kLongestPause = Duration::seconds(1);
// What the client may still have to read when its server has said its last word.
constexpr Duration kLinger = Duration::seconds(5);

Status copy(Task& task, Stream& from, Stream& to) {
  Bytes buffer(kCopyBytes);
  for (;;) {
    TRY_ASSIGN(size_t n, from.read(task, buffer));
    if (n == 0) return to.shutdown_write(task);
    TRY(write_all(task, to, ByteView(buffer).first(n)));
  }
}

// What has arrived already, then the rest.
Status copy(Task& task, wire::BufferedReader& from, Stream& to) {
  while (!from.buffered().empty()) {
    ByteView bytes = from.buffered();
    TRY(write_all(task, to, bytes));
    from.consume(bytes.size());
  }
  return copy(task, from.stream(), to);
}

// ERRCODE_CANNOT_CONNECT_NOW: starting up, shutting down, in recovery.
bool not_up_yet(ByteView error_body) {
  return wire::sqlstate_in(error_body) == "57P03";
}

// Counts a connection with a server, as long as it lives.
class Counted {
 public:
  Counted(std::map<std::string, size_t>& counts, std::string name) : counts_(counts), name_(std::move(name)) {
    counts_[name_]++;
  }
  ~Counted() {
    if (--counts_[name_] == 0) counts_.erase(name_);
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::map<std::string, size_t>& counts_;
  std::string name_;
};

}  // namespace

Status Client::serve(Task& task) {
  Result<wire::Opening> opening = [&] {
    Deadline deadline(task, shared_.config.startup_timeout);
    return negotiate(task);
  }();
  if (!opening.ok()) {
    if (opening.is(Code::Invalid) || opening.is(Code::Unsupported)) refuse(task, opening.error());
    return opening.error();
  }
  if (auto* cancel = std::get_if<wire::CancelRequest>(&*opening)) {
    Status passed = pass_cancel(task, *cancel);
    ignore_result(stream_->shutdown_write(task));  // the client waits for the end only
    return passed;
  }
  if (shared_.config.tls && shared_.config.tls->required && !encrypted_) {
    Error error(Code::Invalid, "this proxy takes encrypted connections only: use sslmode=require");
    refuse(task, error);
    return error;
  }
  return serve_startup(task, std::move(std::get<wire::StartupPacket>(*opening)));
}

// Up to the packet that says what the client wants. It may ask for each kind of encryption once.
Result<wire::Opening> Client::negotiate(Task& task) {
  TRY_ASSIGN(ByteView first, in_->peek(task, 1));
  if (first[0] == tls::kFirstByte) TRY(encrypt(task, Start::Direct));
  for (int asked = 0; asked < 3; asked++) {
    TRY_ASSIGN(wire::Opening opening, wire::read_opening(task, *in_));
    auto* request = std::get_if<wire::EncryptionRequest>(&opening);
    if (request == nullptr) return opening;
    TRY(answer_encryption(task, *request));
  }
  return Error(Code::Corrupt, stream_->peer() + " keeps asking for encryption instead of starting");
}

Status Client::answer_encryption(Task& task, const wire::EncryptionRequest& request) {
  bool yes =
      shared_.certificate != nullptr && request.kind == wire::EncryptionRequest::Kind::Tls && !encrypted_;
  // Whoever sits between could have put these bytes there, for the server to take them as the client's own.
  if (yes && !in_->buffered().empty())
    return Error(Code::Invalid, "received unencrypted data after SSL request from " + stream_->peer() +
                                    ": a faulty client, or somebody in between");
  const uint8_t answer = yes ? 'S' : 'N';
  TRY(write_all(task, *stream_, {&answer, 1}));
  return yes ? encrypt(task, Start::AskedFor) : Status();
}

// From here on all passes through TLS. A client that has begun with it has sent the handshake's first bytes.
Status Client::encrypt(Task& task, Start start) {
  if (shared_.certificate == nullptr)
    return Error(Code::Corrupt, stream_->peer() + " begins with TLS, and this proxy has no certificate");
  TRY_ASSIGN(auto context, shared_.certificate->current(task));
  Bytes early = to_bytes(in_->buffered());
  in_.reset();
  auto encrypted = tls::TlsStream::accept(task, std::move(context), std::move(stream_), early);
  if (!encrypted.ok()) {
    shared_.not_encrypted.add();
    return encrypted.error();
  }
  // As PostgreSQL has it: who does not ask whether this is PostgreSQL at all must say that it should be.
  if (start == Start::Direct && !(*encrypted)->protocol_agreed())
    return Error(Code::Corrupt, (*encrypted)->peer() + " began with TLS, but without ALPN's word postgresql");
  shared_.encrypted.add();
  server_name_ = (*encrypted)->server_name();
  encrypted_ = true;
  stream_ = *std::move(encrypted);
  in_.emplace(*stream_);
  return {};
}

// A server that is not up has nothing to cancel, so nothing is woken. The client is told nothing, as the
// protocol has it.
Status Client::pass_cancel(Task& task, const wire::CancelRequest& request) {
  auto found = shared_.cancel_keys.find(request.key);
  if (found == shared_.cancel_keys.end())
    return Error(Code::NotFound,
                 "cancel request from " + stream_->peer() + " with a key that no server here gave");
  Deadline deadline(task, kConnectTimeout);
  Address address = found->second;
  TRY_ASSIGN(auto server, shared_.env.network().connect(task, address));
  TRY(write_all(task, *server, wire::encode_cancel(request)));
  shared_.cancels.add();
  // The server closes when it has passed the signal on; only then does the client's call return.
  Bytes byte(1);
  TRY(server->read(task, byte));
  return {};
}

Status Client::serve_startup(Task& task, wire::StartupPacket packet) {
  Route route = route_of(std::move(packet));
  Result<std::string> endpoint = endpoint_of(task, route);
  if (!endpoint.ok()) {
    refuse(task, endpoint.error());
    return endpoint.error();
  }
  Result<std::unique_ptr<Server>> server = connect(task, *endpoint, route.packet);
  if (!server.ok()) {
    refuse(task, server.error());
    return server.error();
  }
  Counted counted(shared_.clients, *endpoint);
  return relay(task, **server);
}

Result<std::string> Client::endpoint_of(Task& task, const Route& route) {
  if (route.endpoint) return *route.endpoint;
  if (std::optional<std::string> name = endpoint_in_host(server_name_)) {
    Result<Address> there = shared_.endpoints.address(task, *name);
    if (there.ok()) return *name;
    if (!there.is(Code::NotFound) && !there.is(Code::Invalid)) return there.error();
  }
  return shared_.endpoints.unnamed(task);
}

// Tries, wakes and tries again.
Result<std::unique_ptr<Client::Server>> Client::connect(Task& task, const std::string& endpoint,
                                                        const wire::StartupPacket& packet) {
  Deadline deadline(task, shared_.config.wake_timeout);
  Bytes startup = wire::encode_startup(packet);
  for (Duration pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    TRY_ASSIGN(server_address_, shared_.endpoints.address(task, endpoint));
    Result<std::unique_ptr<Server>> server = try_connect(task, server_address_, startup);
    if (server.ok() || server.is(Code::Cancelled)) return server;
    shared_.retries.add();
    Status woken = deadline.passed() ? Status() : shared_.waker.wake(task, endpoint);
    if (woken.ok() && !deadline.passed()) woken = task.sleep(pause);
    if (deadline.passed())
      return Error(Code::Unavailable, "endpoint " + endpoint + " did not come up within " +
                                          std::to_string(shared_.config.wake_timeout.to_seconds()) +
                                          " s: " + server.error().message());
    if (!woken.ok()) return woken.error().with("endpoint " + endpoint + " cannot be started");
  }
}

// A server that has begun to answer. Unavailable, Disconnected, TimedOut: it is not up.
Result<std::unique_ptr<Client::Server>> Client::try_connect(Task& task, const Address& address,
                                                            ByteView startup) {
  Deadline deadline(task, kConnectTimeout);
  TRY_ASSIGN(auto stream, shared_.env.network().connect(task, address));
  auto server = std::make_unique<Server>(std::move(stream));
  TRY(write_all(task, *server->stream, startup));
  TRY_ASSIGN(ByteView head, server->in.peek(task, 5));
  if (head[0] != 'E') return server;
  size_t length = load_be<uint32_t>(head.data() + 1);
  if (length < 4 || length > wire::kStartupPacketMax) return server;  // the client may make sense of it
  TRY_ASSIGN(ByteView message, server->in.peek(task, 1 + length));
  if (not_up_yet(message.subspan(5)))
    return Error(Code::Unavailable, wire::parse_error(message.subspan(5)).message());
  return server;
}

Status Client::relay(Task& task, Server& server) {
  Scope both(task);
  bool client_ended = false, server_ended = false;
  both.spawn("proxy.to_server", [&](Task& t) -> Status {
    TRY(copy(t, *in_, *server.stream));
    client_ended = true;
    if (server_ended) both.cancel();
    return {};
  });
  both.spawn("proxy.to_client", [&](Task& t) -> Status {
    TRY(relay_answers(t, server));
    server_ended = true;
    if (!client_ended) ignore_result(t.sleep(kLinger));
    both.cancel();
    return {};
  });
  return both.join(task);
}

// Message by message up to the first ReadyForQuery, for the key of cancel requests, then copied.
Status Client::relay_answers(Task& task, Server& server) {
  struct Key {
    ~Key() {
      if (!body.empty()) keys.erase(body);
    }
    std::map<Bytes, Address>& keys;
    Bytes body;
  } key{shared_.cancel_keys, {}};
  for (bool ready = false; !ready;) {
    TRY_ASSIGN(ByteView anything, server.in.peek_some(task));
    if (anything.empty()) return stream_->shutdown_write(task);  // it has said why not
    TRY_ASSIGN(ByteView head, server.in.peek(task, 5));
    uint8_t type = head[0];
    size_t length = size_t{load_be<uint32_t>(head.data() + 1)} + 1;
    if (length < 5)
      return Error(Code::Corrupt, "a message of " + std::to_string(length) + " bytes from the server");
    TRY_ASSIGN(ByteView message, server.in.peek(task, length));
    if (type == 'K' && key.body.empty()) {
      key.body = to_bytes(message.subspan(5));
      shared_.cancel_keys[key.body] = server_address_;
    }
    TRY(write_all(task, *stream_, message));
    server.in.consume(length);
    ready = type == 'Z';
  }
  return copy(task, server.in, *stream_);
}

void Client::refuse(Task& task, const Error& error) {
  Deadline deadline(task, kConnectTimeout);
  Bytes out;
  wire::put_error(out, "FATAL", error);
  // The connection ends anyway; whether the client still hears why does not matter.
  ignore_result(write_all(task, *stream_, out));
  ignore_result(stream_->shutdown_write(task));
}

}  // namespace argon::proxy
