// The old interface of OpenSSL's hashes: unlike EVP it reads no configuration file and allocates nothing.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/objstore/s3_signature.h"

#include <fmt/format.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include <algorithm>
#include <chrono>

#include "core/base/ids.h"
#include "core/http/message.h"

namespace argon::objstore {
namespace {

static_assert(sizeof(SHA256_CTX) <= 128);

Digest256 hmac(ByteView key, std::string_view text) {
  constexpr size_t kBlock = 64;
  std::array<uint8_t, kBlock> inner{};
  Digest256 short_key = sha256(key);
  if (key.size() > kBlock) key = short_key;
  std::ranges::copy(key, inner.begin());
  std::array<uint8_t, kBlock> outer = inner;
  for (uint8_t& byte : inner) byte ^= 0x36;
  for (uint8_t& byte : outer) byte ^= 0x5c;
  Sha256 hash;
  hash.add(inner);
  hash.add(as_bytes(text));
  Digest256 digest = hash.finish();
  Sha256 again;
  again.add(outer);
  again.add(digest);
  return again.finish();
}

std::string canonical_query(const std::map<std::string, std::string>& query) {
  // In the order of escaped names.
  std::map<std::string, std::string> escaped;
  for (const auto& [name, value] : query) escaped[http::url_encode(name)] = http::url_encode(value);
  std::string text;
  for (const auto& [name, value] : escaped) text += (text.empty() ? "" : "&") + name + "=" + value;
  return text;
}

// Blanks around a value and all but one of several within it do not count.
std::string trimmed(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += c;
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace

Sha256::Sha256() : state_{} {
  SHA256_Init(reinterpret_cast<SHA256_CTX*>(state_.data()));
}

void Sha256::add(ByteView bytes) {
  SHA256_Update(reinterpret_cast<SHA256_CTX*>(state_.data()), bytes.data(), bytes.size());
}

Digest256 Sha256::finish() {
  Digest256 digest;
  SHA256_Final(digest.data(), reinterpret_cast<SHA256_CTX*>(state_.data()));
  return digest;
}

Digest256 sha256(ByteView bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish();
}

std::string base64_md5(ByteView bytes) {
  std::array<uint8_t, MD5_DIGEST_LENGTH> digest;
  MD5(bytes.data(), bytes.size(), digest.data());
  return to_base64(digest);
}

std::string S3Request::target() const {
  return query.empty() ? path : path + "?" + canonical_query(query);
}

std::string amz_date(WallTime time) {
  std::chrono::sys_seconds second(
      std::chrono::floor<std::chrono::seconds>(std::chrono::nanoseconds(time.ns)));
  auto day = std::chrono::floor<std::chrono::days>(second);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(second - day);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string s3_authorization(const S3Request& request, const S3Credentials& credentials,
                             const std::string& region) {
  std::string headers;
  std::string signed_headers;
  for (const auto& [name, value] : request.headers) {
    headers += name + ":" + trimmed(value) + "\n";
    signed_headers += (signed_headers.empty() ? "" : ";") + name;
  }
  std::string canonical = request.method + "\n" + request.path + "\n" + canonical_query(request.query) +
                          "\n" + headers + "\n" + signed_headers + "\n" + request.payload_sha256;
  std::string time = request.headers.at("x-amz-date");
  std::string date = time.substr(0, 8);
  std::string scope = date + "/" + region + "/s3/aws4_request";
  std::string to_sign =
      "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + to_hex(sha256(as_bytes(canonical)));
  Digest256 key = hmac(as_bytes("AWS4" + credentials.secret_key), date);
  for (const std::string& part : {region, std::string("s3"), std::string("aws4_request")})
    key = hmac(key, part);
  return "AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" + scope +
         ", SignedHeaders=" + signed_headers + ", Signature=" + to_hex(hmac(key, to_sign));
}

void s3_sign(S3Request& request, const S3Credentials& credentials, const std::string& region, WallTime now) {
  request.headers["x-amz-date"] = amz_date(now);
  request.headers["x-amz-content-sha256"] = request.payload_sha256;
  if (!credentials.session_token.empty()) request.headers["x-amz-security-token"] = credentials.session_token;
  request.headers["authorization"] = s3_authorization(request, credentials, region);
}

}  // namespace argon::objstore
