#include "core/objstore/s3_signature.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/ids.h"

namespace argon::objstore {
namespace {

// Of "Signature Calculations for the Authorization Header", Amazon S3 API reference.
struct Published {
  S3Request request;
  std::string body;
  std::string signature;
};

constexpr WallTime kPublishedTime{1'369'353'600'000'000'000};  // 2013-05-24T00:00:00Z
const S3Credentials kPublishedKeys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};

std::vector<Published> published() {
  std::string host = "examplebucket.s3.amazonaws.com";
  return {
      {{"GET", "/test.txt", {}, {{"host", host}, {"range", "bytes=0-9"}}, {}},
       "",
       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
      {{"PUT",
        "/test%24file.text",
        {},
        {{"host", host},
         {"date", "Fri, 24 May 2013 00:00:00 GMT"},
         {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
        {}},
       "Welcome to Amazon S3.",
       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
      {{"GET", "/", {{"lifecycle", ""}}, {{"host", host}}, {}},
       "",
       "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
      {{"GET", "/", {{"max-keys", "2"}, {"prefix", "J"}}, {{"host", host}}, {}},
       "",
       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
  };
}

TEST(S3Signature, IsWhatAmazonPublishedForTheseRequests) {
  for (Published& one : published()) {
    one.request.payload_sha256 = to_hex(sha256(as_bytes(one.body)));
    s3_sign(one.request, kPublishedKeys, "us-east-1", kPublishedTime);
    std::string given = one.request.headers.at("authorization");
    EXPECT_TRUE(given.ends_with("Signature=" + one.signature)) << one.request.target() << "\n" << given;
  }
}

TEST(S3Signature, IsWhatBotocoreMakesOfTheSameRequests) {
  std::ifstream file(SIGNATURES_FOLDER "/botocore.json");
  nlohmann::json all = nlohmann::json::parse(file);
  ASSERT_GE(all.size(), 10u);
  for (const nlohmann::json& one : all) {
    S3Request request{one.at("method"), one.at("path"), one.at("query"), one.at("headers"), {}};
    request.headers["host"] = one.at("host");
    request.payload_sha256 = to_hex(sha256(as_bytes(one.at("body").get<std::string>())));
    EXPECT_EQ(request.payload_sha256, one.at("payload_sha256").get<std::string>());
    S3Credentials keys{one.at("access_key"), one.at("secret_key"), one.at("session_token")};
    WallTime time{one.at("seconds").get<int64_t>() * 1'000'000'000};
    s3_sign(request, keys, one.at("region"), time);
    EXPECT_EQ(request.headers.at("x-amz-date"), one.at("amz_date").get<std::string>());
    EXPECT_EQ(request.headers.at("authorization"), one.at("authorization").get<std::string>())
        << request.target();
  }
}

TEST(S3Signature, HashesAreThoseOfTheirStandards) {
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(base64_md5(as_bytes("")), "1B2M2Y8AsgTpgAmY7PhCfg==");
  EXPECT_EQ(base64_md5(as_bytes("message digest")), "+WtpfXy3k41SWi8xqvFh0A==");
  Sha256 in_pieces;
  for (const char* piece : {"a", "", "bc"}) in_pieces.add(as_bytes(piece));
  EXPECT_EQ(in_pieces.finish(), sha256(as_bytes("abc")));
}

}  // namespace
}  // namespace argon::objstore
