#include "core/tls/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace argon::tls {
namespace {

constexpr size_t kRecord = 16 * 1024;        // the most that one record carries
constexpr size_t kReceived = kRecord + 512;  // a record as it is on the wire
constexpr size_t kUnsentMax = 4 * 1024;      // of what reading gives rise to

BIO* memory() {
  BIO* bio = BIO_new(BIO_s_mem());
  CHECK(bio != nullptr);
  return bio;
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<const Context> context, std::unique_ptr<Stream> stream)
    : context_(std::move(context)),
      stream_(std::move(stream)),
      session_(SSL_new(context_->get())),
      received_(memory()),
      to_send_(memory()) {
  CHECK(session_ != nullptr, last_error("OpenSSL gives no session"));
  SSL_set_bio(session_.get(), received_, to_send_);
}

Result<std::unique_ptr<TlsStream>> TlsStream::accept(Task& task, std::shared_ptr<const Context> context,
                                                     std::unique_ptr<Stream> stream, ByteView early) {
  std::unique_ptr<TlsStream> made(new TlsStream(std::move(context), std::move(stream)));
  if (!early.empty()) BIO_write(made->received_, early.data(), static_cast<int>(early.size()));
  SSL_set_accept_state(made->session_.get());
  TRY(made->handshake(task));
  return made;
}

Result<std::unique_ptr<TlsStream>> TlsStream::connect(Task& task, std::shared_ptr<const Context> context,
                                                      std::unique_ptr<Stream> stream,
                                                      const std::string& host) {
  std::unique_ptr<TlsStream> made(new TlsStream(std::move(context), std::move(stream)));
  SSL* session = made->session_.get();
  // An address is looked for among the certificate's addresses, and never sent as SNI (RFC 6066 section 3).
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) != 1)
    CHECK(SSL_set_tlsext_host_name(session, host.c_str()) == 1 && SSL_set1_host(session, host.c_str()) == 1);
  X509_VERIFY_PARAM_set_time(SSL_get0_param(session), task.env().wall_now().ns / 1'000'000'000);
  SSL_set_connect_state(session);
  TRY(made->handshake(task));
  return made;
}

Status TlsStream::handshake(Task& task) {
  for (;;) {
    ERR_clear_error();
    int result = SSL_do_handshake(session_.get());
    Status shaken;
    if (result != 1 && SSL_get_error(session_.get(), result) != SSL_ERROR_WANT_READ)
      shaken = failed(result, "TLS handshake with ");
    Status told = send(task);  // an alert, too, that says why not
    TRY(shaken);
    if (result == 1 || !told.ok()) return told;
    TRY(receive(task));
  }
}

Result<size_t> TlsStream::read(Task& task, ByteSpan into) {
  CHECK(!into.empty());
  for (;;) {
    ERR_clear_error();
    size_t n = 0;
    int result = SSL_read_ex(session_.get(), into.data(), into.size(), &n);
    if (result == 1) return n;
    int error = SSL_get_error(session_.get(), result);
    if (error == SSL_ERROR_ZERO_RETURN) return size_t{0};
    if (error != SSL_ERROR_WANT_READ) return failed(result, "read from ");
    if (BIO_ctrl_pending(to_send_) > kUnsentMax) TRY(send(task));
    TRY(receive(task));
  }
}

Result<size_t> TlsStream::write(Task& task, ByteView from) {
  CHECK(!from.empty());
  if ((SSL_get_shutdown(session_.get()) & SSL_SENT_SHUTDOWN) != 0)
    return Error(Code::Disconnected, "write to " + peer() + ": after the end of the stream");
  TRY(send(task));  // what an earlier call was kept from sending
  ERR_clear_error();
  size_t n = 0;
  int result = SSL_write_ex(session_.get(), from.data(), std::min(from.size(), kRecord), &n);
  if (result != 1) return failed(result, "write to ");
  TRY(send(task));
  return n;
}

Status TlsStream::shutdown_write(Task& task) {
  ERR_clear_error();
  // A session that broke has nothing more to say.
  if (SSL_shutdown(session_.get()) >= 0) TRY(send(task));
  return stream_->shutdown_write(task);
}

Status TlsStream::send(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, sending_));
  for (;;) {
    if (sent_ == sent_from_.size()) {
      sent_from_.resize(BIO_ctrl_pending(to_send_));
      sent_ = 0;
      if (sent_from_.empty()) return {};
      CHECK(BIO_read(to_send_, sent_from_.data(), static_cast<int>(sent_from_.size())) ==
            static_cast<int>(sent_from_.size()));
    }
    TRY_ASSIGN(size_t n, stream_->write(task, ByteView(sent_from_).subspan(sent_)));
    sent_ += n;
  }
}

Status TlsStream::receive(Task& task) {
  Bytes chunk(kReceived);
  TRY_ASSIGN(size_t n, stream_->read(task, chunk));
  if (n == 0)
    return Error(Code::Disconnected, peer() + " closed the connection without ending its TLS session");
  CHECK(BIO_write(received_, chunk.data(), static_cast<int>(n)) == static_cast<int>(n));
  return {};
}

Error TlsStream::failed(int result, const char* what) const {
  std::string why = last_error("OpenSSL's error " + std::to_string(SSL_get_error(session_.get(), result)));
  long verified = SSL_get_verify_result(session_.get());
  if (verified != X509_V_OK) why += std::string(": ") + X509_verify_cert_error_string(verified);
  return Error(Code::Corrupt, what + peer() + ": " + why);
}

std::string TlsStream::server_name() const {
  const char* name = SSL_get_servername(session_.get(), TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}

bool TlsStream::protocol_agreed() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(session_.get(), &name, &length);
  return length != 0;
}

}  // namespace argon::tls
