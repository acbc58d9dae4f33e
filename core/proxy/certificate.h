// Certificate: what clients are shown, from two files that may be replaced at any time.
//
// Each handshake reads the files: they are small, and of a file that was replaced its contents alone say
// so. A file that is missing or wrong leaves the certificate that was there, and the log says why.

#pragma once

#include "core/env/log.h"
#include "core/proxy/proxy.h"
#include "core/tls/context.h"

namespace argon::proxy {

class Certificate {
 public:
  // Borrows both.
  Certificate(Env& env, const TlsConfig& config, Logger log)
      : env_(env), config_(config), log_(std::move(log)), library_(std::make_shared<tls::Library>(env)) {}

  // At start. Errors name the file and what is wrong with it. Suspends.
  Status load(Task& task);
  // For the next handshake. Errors: Cancelled, TimedOut. Suspends. REQUIRES: load() was ok.
  Result<std::shared_ptr<const tls::Context>> current(Task& task);

 private:
  Env& env_;
  const TlsConfig& config_;
  Logger log_;
  std::shared_ptr<tls::Library> library_;
  // As they were when `context_` was made.
  Bytes certificate_, key_;
  std::shared_ptr<const tls::Context> context_;
  std::string complaint_;  // the last one, which is made once
};

}  // namespace argon::proxy
