// AWS Signature Version 4, in the header Authorization, as every S3-compatible store checks it. Pure.
//
// Source: "Signature Calculations for the Authorization Header" of Amazon S3's API reference; held to
// Amazon's published examples and to what botocore makes of the same requests (s3_signature_test.cc).
//
// The payload's SHA-256 is signed, not "UNSIGNED-PAYLOAD": the store then refuses what was mangled on its
// way, which without TLS nobody else sees.

#pragma once

#include <array>
#include <map>
#include <string>

#include "core/base/bytes.h"
#include "core/base/time.h"

namespace argon::objstore {

struct S3Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
};

using Digest256 = std::array<uint8_t, 32>;
Digest256 sha256(ByteView bytes);
std::string base64_md5(ByteView bytes);

// SHA-256 of what comes piece by piece.
class Sha256 {
 public:
  Sha256();
  void add(ByteView bytes);
  Digest256 finish();

 private:
  alignas(8) std::array<uint8_t, 128> state_;
};

// What is signed of a request.
struct S3Request {
  std::string method;
  std::string path;                                 // escaped, with its first slash
  std::map<std::string, std::string> query = {};    // not escaped
  std::map<std::string, std::string> headers = {};  // names in lower case; must have "host"
  std::string payload_sha256 = {};                  // hex digits

  // The path and the query, escaped as they are signed.
  std::string target() const;
};

// "20130524T000000Z".
std::string amz_date(WallTime time);
// Of a request that has all the headers that are signed, x-amz-date among them.
std::string s3_authorization(const S3Request& request, const S3Credentials& credentials,
                             const std::string& region);
// Adds x-amz-date, x-amz-content-sha256, x-amz-security-token (where there is one) and authorization.
void s3_sign(S3Request& request, const S3Credentials& credentials, const std::string& region, WallTime now);

}  // namespace argon::objstore
