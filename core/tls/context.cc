#include "core/tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <vector>

namespace argon::tls {
namespace {

Owned<BIO> reader_of(ByteView bytes) {
  Owned<BIO> bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  CHECK(bio != nullptr);
  return bio;
}

int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// Every certificate of the text, in order.
Result<std::vector<Owned<X509>>> read_certificates(OSSL_LIB_CTX* library, ByteView pem) {
  Owned<BIO> in = reader_of(pem);
  std::vector<Owned<X509>> all;
  ERR_clear_error();
  for (;;) {
    X509* made = X509_new_ex(library, nullptr);
    bool passphrase_asked = false;
    bool read = PEM_read_bio_X509(in.get(), &made, &no_passphrase, &passphrase_asked) != nullptr;
    Owned<X509> certificate(made);  // null where a failed read has freed it
    if (!read) break;
    all.push_back(std::move(certificate));
  }
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end && all.empty())
    return Error(Code::Invalid, "the certificate: there is none in PEM form (-----BEGIN CERTIFICATE-----)");
  if (!at_end)
    return Error(Code::Invalid, "the certificate: number " + std::to_string(all.size() + 1) +
                                    " cannot be read: " + last_error("it is damaged"));
  return all;
}

std::string text_of(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "?";
  char text[40];
  snprintf(text, sizeof text, "%04d-%02d-%02d", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
  return text;
}

std::string describe(X509* certificate) {
  char subject[256];
  X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
  return std::string(subject) + ", valid until " + text_of(X509_get0_notAfter(certificate));
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* offered,
                    unsigned length, void* context) {
  const std::string& wanted = static_cast<const Context*>(context)->protocol();
  for (unsigned at = 0; at < length; at += 1u + offered[at]) {
    if (as_text({offered + at + 1, offered[at]}) != wanted) continue;
    *out = offered + at + 1;
    *out_length = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

Context::Context(std::shared_ptr<Library> library, std::string protocol, Role role)
    : library_(std::move(library)),
      protocol_(std::move(protocol)),
      context_(SSL_CTX_new_ex(library_->get(), nullptr,
                              role == Role::Server ? TLS_server_method() : TLS_client_method())) {
  CHECK(context_ != nullptr, last_error("OpenSSL gives no context"));
  CHECK(SSL_CTX_set_min_proto_version(get(), TLS1_2_VERSION) == 1);
  SSL_CTX_set_options(get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
  CHECK(SSL_CTX_set_num_tickets(get(), 0) == 1);
  SSL_CTX_set_session_cache_mode(get(), SSL_SESS_CACHE_OFF);
  // A connection that waits holds no record buffers.
  SSL_CTX_set_mode(get(), SSL_MODE_RELEASE_BUFFERS);
}

Result<std::shared_ptr<const Context>> Context::server(std::shared_ptr<Library> library, ByteView certificate,
                                                       ByteView key, std::string protocol) {
  std::shared_ptr<Context> made(new Context(std::move(library), std::move(protocol), Role::Server));
  TRY(made->take_certificate(certificate));
  TRY(made->take_key(key));
  SSL_CTX_set_alpn_select_cb(made->get(), &choose_protocol, made.get());
  return std::shared_ptr<const Context>(std::move(made));
}

Result<std::shared_ptr<const Context>> Context::client(std::shared_ptr<Library> library, ByteView trusted,
                                                       std::string protocol) {
  std::shared_ptr<Context> made(new Context(std::move(library), std::move(protocol), Role::Client));
  TRY(made->take_trusted(trusted));
  SSL_CTX_set_verify(made->get(), SSL_VERIFY_PEER, nullptr);
  Bytes offered{static_cast<uint8_t>(made->protocol_.size())};
  append(offered, as_bytes(made->protocol_));
  CHECK(SSL_CTX_set_alpn_protos(made->get(), offered.data(), static_cast<unsigned>(offered.size())) == 0);
  return std::shared_ptr<const Context>(std::move(made));
}

Status Context::take_certificate(ByteView pem) {
  TRY_ASSIGN(std::vector<Owned<X509>> chain, read_certificates(library_->get(), pem));
  about_ = describe(chain[0].get());
  ERR_clear_error();
  if (SSL_CTX_use_certificate(get(), chain[0].get()) != 1)
    return Error(Code::Invalid, "the certificate: " + last_error("it cannot be used"));
  for (size_t i = 1; i < chain.size(); i++)
    CHECK(SSL_CTX_add1_chain_cert(get(), chain[i].get()) == 1, last_error("no memory"));
  return {};
}

Status Context::take_key(ByteView pem) {
  Owned<BIO> in = reader_of(pem);
  bool passphrase_asked = false;
  ERR_clear_error();
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey_ex(in.get(), nullptr, &no_passphrase, &passphrase_asked,
                                                 library_->get(), nullptr));
  if (key == nullptr && passphrase_asked)
    return Error(Code::Invalid,
                 "the key: it has a passphrase, and there is nobody to ask: take it off by `openssl pkey`");
  if (key == nullptr)
    return Error(Code::Invalid, "the key: there is none in PEM form (-----BEGIN PRIVATE KEY-----): " +
                                    last_error("damaged"));
  if (SSL_CTX_use_PrivateKey(get(), key.get()) != 1 || SSL_CTX_check_private_key(get()) != 1)
    return Error(Code::Invalid, "the key: it is not the certificate's: " + last_error("another one"));
  return {};
}

Status Context::take_trusted(ByteView pem) {
  TRY_ASSIGN(std::vector<Owned<X509>> authorities, read_certificates(library_->get(), pem));
  for (const Owned<X509>& one : authorities)
    CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(get()), one.get()) == 1, last_error("no memory"));
  return {};
}

}  // namespace argon::tls
