#include "core/tls/library.h"

#include <openssl/bio.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace argon::tls {
namespace {

// A provider of one algorithm: a random generator that asks an Env (OpenSSL's man pages provider-rand(7) and
// EVP_RAND(3)). A provider is given nothing by its maker, so each generator is told its Env by a parameter.
constexpr const char* kName = "argon-env";
constexpr const char* kEnvParameter = "argon-env";
constexpr size_t kLongestRequest = 1u << 20;

struct Generator {
  Env* env = nullptr;
};

Generator* of(void* generator) {
  return static_cast<Generator*>(generator);
}

int generate(void* generator, unsigned char* out, size_t size, unsigned, int, const unsigned char*, size_t) {
  if (of(generator)->env == nullptr) return 0;
  of(generator)->env->secure_random({out, size});
  return 1;
}

int set_parameters(void* generator, const OSSL_PARAM parameters[]) {
  const OSSL_PARAM* env = OSSL_PARAM_locate_const(parameters, kEnvParameter);
  if (env == nullptr) return 1;
  const void* value = nullptr;
  if (OSSL_PARAM_get_octet_ptr(env, &value, nullptr) != 1) return 0;
  of(generator)->env = static_cast<Env*>(const_cast<void*>(value));
  return 1;
}

int get_parameters(void*, OSSL_PARAM parameters[]) {
  if (OSSL_PARAM* state = OSSL_PARAM_locate(parameters, OSSL_RAND_PARAM_STATE);
      state != nullptr && OSSL_PARAM_set_int(state, EVP_RAND_STATE_READY) != 1)
    return 0;
  if (OSSL_PARAM* strength = OSSL_PARAM_locate(parameters, OSSL_RAND_PARAM_STRENGTH);
      strength != nullptr && OSSL_PARAM_set_uint(strength, 256) != 1)
    return 0;
  OSSL_PARAM* most = OSSL_PARAM_locate(parameters, OSSL_RAND_PARAM_MAX_REQUEST);
  return most == nullptr ? 1 : OSSL_PARAM_set_size_t(most, kLongestRequest);
}

template <typename Signature>
OSSL_DISPATCH entry(int id, Signature* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

const OSSL_ALGORITHM* algorithms_of(void*, int operation, int* no_cache) {
  static const OSSL_DISPATCH kGenerator[] = {
      entry(
          OSSL_FUNC_RAND_NEWCTX, +[](void*, void*, const OSSL_DISPATCH*) -> void* { return new Generator; }),
      entry(
          OSSL_FUNC_RAND_FREECTX, +[](void* generator) { delete of(generator); }),
      entry(
          OSSL_FUNC_RAND_INSTANTIATE,
          +[](void*, unsigned, int, const unsigned char*, size_t, const OSSL_PARAM[]) { return 1; }),
      entry(
          OSSL_FUNC_RAND_UNINSTANTIATE, +[](void*) { return 1; }),
      entry(OSSL_FUNC_RAND_GENERATE, &generate),
      // Of one thread only.
      entry(
          OSSL_FUNC_RAND_ENABLE_LOCKING, +[](void*) { return 1; }),
      entry(
          OSSL_FUNC_RAND_LOCK, +[](void*) { return 1; }),
      entry(
          OSSL_FUNC_RAND_UNLOCK, +[](void*) {}),
      entry(OSSL_FUNC_RAND_GET_CTX_PARAMS, &get_parameters),
      entry(OSSL_FUNC_RAND_SET_CTX_PARAMS, &set_parameters),
      {0, nullptr}};
  static const OSSL_ALGORITHM kAlgorithms[] = {
      {kName, "provider=argon-env", kGenerator, "Env::secure_random"}, {nullptr, nullptr, nullptr, nullptr}};
  *no_cache = 0;
  return operation == OSSL_OP_RAND ? kAlgorithms : nullptr;
}

int begin_provider(const OSSL_CORE_HANDLE* core, const OSSL_DISPATCH*, const OSSL_DISPATCH** out,
                   void** context) {
  static const OSSL_DISPATCH kProvider[] = {entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, &algorithms_of),
                                            {0, nullptr}};
  *out = kProvider;
  *context = const_cast<OSSL_CORE_HANDLE*>(core);
  return 1;
}

void ask(EVP_RAND_CTX* generator, Env& env) {
  void* source = &env;
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_ptr(kEnvParameter, &source, sizeof source),
                                   OSSL_PARAM_construct_end()};
  CHECK(generator != nullptr && EVP_RAND_CTX_set_params(generator, parameters) == 1,
        last_error("OpenSSL takes no random generator"));
}

}  // namespace

void Free::operator()(OSSL_LIB_CTX* library) const {
  OSSL_LIB_CTX_free(library);
}
void Free::operator()(OSSL_PROVIDER* provider) const {
  OSSL_PROVIDER_unload(provider);
}
void Free::operator()(SSL_CTX* context) const {
  SSL_CTX_free(context);
}
void Free::operator()(SSL* session) const {
  SSL_free(session);
}
void Free::operator()(BIO* bio) const {
  BIO_free(bio);
}
void Free::operator()(X509* certificate) const {
  X509_free(certificate);
}
void Free::operator()(EVP_PKEY* key) const {
  EVP_PKEY_free(key);
}

Library::Library(Env& env) {
  // Before anything else: the first call decides whether openssl.cnf is read.
  CHECK(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1);
  library_.reset(OSSL_LIB_CTX_new());
  CHECK(library_ != nullptr && OSSL_PROVIDER_add_builtin(get(), kName, &begin_provider) == 1);
  algorithms_.reset(OSSL_PROVIDER_load(get(), "default"));
  entropy_.reset(OSSL_PROVIDER_load(get(), kName));
  CHECK(algorithms_ != nullptr && entropy_ != nullptr, last_error("OpenSSL has no providers"));
  CHECK(RAND_set_DRBG_type(get(), kName, nullptr, nullptr, nullptr) == 1, last_error("OpenSSL's generators"));
  ask(RAND_get0_primary(get()), env);
  ask(RAND_get0_public(get()), env);
  ask(RAND_get0_private(get()), env);
}

std::string last_error(std::string otherwise) {
  unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason != nullptr ? reason : std::move(otherwise);
}

}  // namespace argon::tls
