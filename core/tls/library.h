// Library: OpenSSL for one Env. It computes and does nothing else.
//
// OpenSSL wants entropy, a clock, files and sockets of its own. Here it is given a library context whose
// generator of random numbers is Env's secure_random(), no configuration file, and memory to read from and
// write to; the times that certificates are held to come from Env's wall clock. What is left is the time in a
// session that is never resumed: OpenSSL asks the C library for it, and nothing reads it.

#pragma once

#include <openssl/types.h>

#include <memory>

#include "core/env/env.h"

namespace argon::tls {

// Frees what OpenSSL gave.
struct Free {
  void operator()(OSSL_LIB_CTX* library) const;
  void operator()(OSSL_PROVIDER* provider) const;
  void operator()(SSL_CTX* context) const;
  void operator()(SSL* session) const;
  void operator()(BIO* bio) const;
  void operator()(X509* certificate) const;
  void operator()(EVP_PKEY* key) const;
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

class Library {
 public:
  // Borrows env. For the env's own thread only: elsewhere its generator has no source, and fails.
  explicit Library(Env& env);

  OSSL_LIB_CTX* get() const { return library_.get(); }

 private:
  Owned<OSSL_LIB_CTX> library_;
  Owned<OSSL_PROVIDER> algorithms_;
  Owned<OSSL_PROVIDER> entropy_;
};

// What OpenSSL says of the call that failed just now; `otherwise` where it says nothing.
std::string last_error(std::string otherwise);

}  // namespace argon::tls
