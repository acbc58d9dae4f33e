// One client's connection, from its first byte to its last. Internal to core/proxy.

#pragma once

#include <map>

#include "core/base/metrics.h"
#include "core/env/log.h"
#include "core/proxy/certificate.h"
#include "core/proxy/proxy.h"
#include "core/proxy/route.h"
#include "core/proxy/waker.h"
#include "core/tls/stream.h"
#include "core/wire/buffered.h"

namespace argon::proxy {

// What the connections share.
struct Shared {
  Env& env;
  const ProxyConfig& config;
  Endpoints& endpoints;
  Waker& waker;
  Certificate* certificate;  // null without TLS
  Logger log;
  std::map<Bytes, Address> cancel_keys;   // BackendKeyData's body: which server gave it
  std::map<std::string, size_t> clients;  // by endpoint: connections that have a server
  Counter& retries;                       // servers that were not up yet
  Counter& cancels;                       // cancel requests passed on
  Counter& encrypted;                     // connections with TLS
  Counter& not_encrypted;                 // TLS handshakes that failed
};

class Client {
 public:
  Client(Shared& shared, std::unique_ptr<Stream> stream)
      : shared_(shared), stream_(std::move(stream)), in_(std::in_place, *stream_) {}

  // Until it ends. Errors are for the log: the client has been told.
  Status serve(Task& task);
  // Instead of serve(): says why not. Best effort.
  void refuse(Task& task, const Error& error);

 private:
  // A connection to a server, which has answered the startup packet with `in`'s first message.
  struct Server {
    explicit Server(std::unique_ptr<Stream> s) : stream(std::move(s)), in(*stream) {}
    std::unique_ptr<Stream> stream;
    wire::BufferedReader in;
  };

  Result<wire::Opening> negotiate(Task& task);
  Status answer_encryption(Task& task, const wire::EncryptionRequest& request);
  enum class Start { AskedFor, Direct };
  Status encrypt(Task& task, Start start);
  Result<std::string> endpoint_of(Task& task, const Route& route);
  Status pass_cancel(Task& task, const wire::CancelRequest& request);
  Status serve_startup(Task& task, wire::StartupPacket packet);
  Result<std::unique_ptr<Server>> connect(Task& task, const std::string& endpoint,
                                          const wire::StartupPacket& packet);
  Result<std::unique_ptr<Server>> try_connect(Task& task, const Address& address, ByteView startup);
  Status relay(Task& task, Server& server);
  Status relay_answers(Task& task, Server& server);

  Shared& shared_;
  std::unique_ptr<Stream> stream_;
  std::optional<wire::BufferedReader> in_;  // of stream_
  bool encrypted_ = false;
  std::string server_name_;  // as the client said it in its handshake (SNI); empty without
  Address server_address_;
};

}  // namespace argon::proxy
