// Context: what the TLS connections of one side have in common.
//
// TLS 1.2 and 1.3. No session is resumed and no ticket given, nothing is renegotiated or compressed; no
// certificate is asked of clients.

#pragma once

#include <memory>
#include <string>

#include "core/tls/library.h"

namespace argon::tls {

class Context {
 public:
  // A server's. PEM: the certificate, the rest of its chain behind it; the key, without a passphrase.
  // Invalid: what is wrong with which of the two.
  static Result<std::shared_ptr<const Context>> server(std::shared_ptr<Library> library, ByteView certificate,
                                                       ByteView key, std::string protocol);
  // A client's: it believes the authorities in `trusted` (PEM) alone.
  static Result<std::shared_ptr<const Context>> client(std::shared_ptr<Library> library, ByteView trusted,
                                                       std::string protocol);

  SSL_CTX* get() const { return context_.get(); }
  // The one protocol spoken over these connections, as ALPN names it. A client that offers others only is
  // refused, one that does not ask is not.
  const std::string& protocol() const { return protocol_; }
  // Of a server's certificate: whose, and until when.
  const std::string& about() const { return about_; }

 private:
  enum class Role { Server, Client };
  Context(std::shared_ptr<Library> library, std::string protocol, Role role);
  Status take_certificate(ByteView pem);
  Status take_key(ByteView pem);
  Status take_trusted(ByteView pem);

  std::shared_ptr<Library> library_;
  std::string protocol_;
  std::string about_;
  Owned<SSL_CTX> context_;
};

}  // namespace argon::tls
