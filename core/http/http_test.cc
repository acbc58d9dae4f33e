#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

#include "core/http/codec.h"
#include "core/http/server.h"

namespace argon::http {
namespace {

constexpr ReadLimits kLimits{4096, 65536};

TEST(Http, ARequestIsTakenApart) {
  auto received = parse_request(as_bytes("POST /v1/tenant/a%2Fb/timeline?x=1+2&y&z=%41 HTTP/1.1\r\nHost: "
                                         "h\r\nX-Thing: v\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n"),
                                kLimits);
  ASSERT_TRUE(received.ok()) << received.error().to_string();
  const Request& request = received->request;
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/v1/tenant/a/b/timeline");
  EXPECT_EQ(request.query, (Fields{{"x", "1 2"}, {"y", ""}, {"z", "A"}}));
  EXPECT_EQ(request.headers.at("x-thing"), "v");
  EXPECT_EQ(request.json()->at("a"), 1);
  EXPECT_TRUE(received->keep_alive);
}

TEST(Http, WhatIsNotHttpIsRefused) {
  for (std::string_view bad : {"BLAH\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n",
                               "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"})
    EXPECT_TRUE(parse_request(as_bytes(bad), kLimits).is(Code::Invalid)) << bad;
  std::string big = "POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n";
  EXPECT_TRUE(parse_request(as_bytes(big), kLimits).is(Code::NoSpace));
  std::string header = "GET / HTTP/1.1\r\nX: " + std::string(5000, 'x') + "\r\n\r\n";
  EXPECT_TRUE(parse_request(as_bytes(header), kLimits).is(Code::NoSpace));
  EXPECT_TRUE(parse_request(as_bytes("GET / HTTP/1.1\r\nHost"), kLimits).is(Code::Unavailable));
}

RC_GTEST_PROP(Http, ResponsesComeBackAsTheyWentIn, (const std::string& body)) {
  Response sent = text_response(body, 202);
  Bytes wire;
  encode_response(wire, sent, true, false);
  auto got = parse_response(wire, kLimits);
  RC_ASSERT(got.ok());
  RC_ASSERT(got->status == 202);
  RC_ASSERT(got->body == body);
}

RC_GTEST_PROP(Http, EncodedTextDecodes, (const std::string& text)) {
  auto back = url_decode(url_encode(text), true);
  RC_ASSERT(back.ok());
  RC_ASSERT(*back == text);
}

RC_GTEST_PROP(Http, AnyBytesAreARequestOrAnError, (const Bytes& bytes)) {
  ignore_result(parse_request(bytes, kLimits));
  ignore_result(parse_response(bytes, kLimits));
}

TEST(Http, ErrorsKeepTheirMeaning) {
  Status told = check_response(error_response(Error(Code::NotFound, "no timeline 12")));
  EXPECT_TRUE(told.is(Code::NotFound));
  EXPECT_EQ(told.error().message(), "no timeline 12");
  EXPECT_TRUE(check_response(json_response({})).ok());
}

}  // namespace
}  // namespace argon::http
