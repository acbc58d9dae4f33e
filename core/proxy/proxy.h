// The proxy: one address for all endpoints. It wakes the endpoint that a client names, and passes bytes.
//
// A connection to an endpoint that sleeps waits until it has been started; any number of clients that come
// meanwhile share that one start. Authentication is between client and server: the proxy passes it on and
// keeps no secrets. What it reads of the server's messages ends with the first ReadyForQuery; from there on
// it copies. Cancel requests find their server by the key that the server gave (BackendKeyData).
//
// With a certificate, clients may encrypt: they ask first (SSLRequest), or begin with TLS at once. TLS ends
// here; what follows it is the same. A certificate whose files change is taken up by the next connection.
//
// Invariants:
// 1. At most one wake of an endpoint is under way.
// 2. A client hears nothing of an endpoint that is not up yet: an answer "cannot connect now" (57P03) is
//    followed by another attempt, until `wake_timeout`.
// 3. Memory is bounded: `connections` times the buffers of one (two of 32 KiB, and what a startup needs; TLS
//    needs some four records of 16 KiB beside them, and OpenSSL's session).
// 4. What a client sends in the open after it asked for TLS is never taken for what comes encrypted
//    (CVE-2021-23222).
//
// Not promised: that a connection outlives its endpoint. An endpoint that is put to sleep, or moved, ends it.

#pragma once

#include <optional>
#include <string>

#include "core/env/env.h"

namespace argon::proxy {

// The endpoints there are, and how they are started. Borrowed for the daemon's life.
class Endpoints {
 public:
  virtual ~Endpoints() = default;

  // Where its server listens, up or not. NotFound says which there are.
  virtual Result<Address> address(Task& task, const std::string& endpoint) = 0;
  // The one meant by a client that names none. Invalid where that is not clear: the message says how to name
  // one.
  virtual Result<std::string> unnamed(Task& task) = 0;
  // Starts it, and returns once it takes connections. Ok where it is up. May take long; may be called again.
  virtual Status wake(Task& task, const std::string& endpoint) = 0;
};

struct TlsConfig {
  std::string certificate;  // path: PEM, the rest of the chain behind it
  std::string key;          // path: PEM, without a passphrase
  bool required = false;    // clients that do not encrypt are refused (their cancel requests are not)
};

struct ProxyConfig {
  Address listen;
  Address listen_http;                               // /v1/status and /metrics
  std::optional<TlsConfig> tls;                      // none: requests for encryption are answered 'N'
  size_t connections = 1000;                         // more are refused
  Duration startup_timeout = Duration::seconds(30);  // for a client to say what it wants
  Duration wake_timeout = Duration::seconds(120);    // from there to the server's first answer
};

// Until cancelled. Errors: what kept it from listening; a certificate that cannot be used.
Status run_proxy(Task& task, Env& env, const ProxyConfig& config, Endpoints& endpoints);

}  // namespace argon::proxy
