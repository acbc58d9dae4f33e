#include "core/proxy/certificate.h"

#include "core/env/io.h"

namespace argon::proxy {
namespace {

constexpr uint64_t kLongestFile = 1u << 20;

}  // namespace

Status Certificate::load(Task& task) {
  TRY_ASSIGN(Bytes certificate,
             read_file(task, env_.disk(), config_.certificate, kLongestFile).with("proxy.tls_cert"));
  TRY_ASSIGN(Bytes key, read_file(task, env_.disk(), config_.key, kLongestFile).with("proxy.tls_key"));
  if (context_ != nullptr && certificate == certificate_ && key == key_) return {};
  auto made = tls::Context::server(library_, certificate, key, "postgresql");
  if (!made.ok())
    return made.error().with("proxy.tls_cert " + config_.certificate + ", proxy.tls_key " + config_.key);
  context_ = *made;
  certificate_ = std::move(certificate);
  key_ = std::move(key);
  log_.info("clients may encrypt; the certificate: {}", context_->about());
  return {};
}

Result<std::shared_ptr<const tls::Context>> Certificate::current(Task& task) {
  Status loaded = load(task);
  if (loaded.is(Code::Cancelled) || loaded.is(Code::TimedOut)) return loaded.error();
  std::string complaint = loaded.ok() ? "" : loaded.error().message();
  if (!complaint.empty() && complaint != complaint_)
    log_.error("the former certificate stays in use: {}", complaint);
  complaint_ = complaint;
  return context_;
}

}  // namespace argon::proxy
