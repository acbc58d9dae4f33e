#include "core/wire/pg_startup.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/wire/pg_messages.h"

namespace argon::wire {
namespace {

TEST(PgStartup, WhatCannotBeAPacketIsSaid) {
  Bytes other(8);
  store_be(other.data(), uint32_t{2} << 16);
  EXPECT_TRUE(parse_opening(other).is(Code::Unsupported));
  Bytes whole = encode_startup({kProtocolVersion3, {{"user", "u"}}});
  ByteView body = ByteView(whole).subspan(4);
  ASSERT_TRUE(parse_opening(body).ok());
  for (size_t cut = 0; cut < body.size(); cut++)
    EXPECT_TRUE(parse_opening(body.first(cut)).is(Code::Invalid)) << cut;
}

TEST(PgStartup, TheKindsOfEncryptionAreToldApart) {
  Bytes sent = encode_ssl_request();
  ASSERT_EQ(sent.size(), 8u);
  Result<Opening> tls = parse_opening(ByteView(sent).subspan(4));
  ASSERT_TRUE(tls.ok());
  EXPECT_EQ(std::get<EncryptionRequest>(*tls).kind, EncryptionRequest::Kind::Tls);
  store_be(sent.data() + 4, kGssEncRequestCode);
  Result<Opening> gss = parse_opening(ByteView(sent).subspan(4));
  ASSERT_TRUE(gss.ok());
  EXPECT_EQ(std::get<EncryptionRequest>(*gss).kind, EncryptionRequest::Kind::Gss);
}

RC_GTEST_PROP(PgStartup, PacketsComeBackAsTheyWere, ()) {
  auto text = rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)));
  StartupPacket packet;
  packet.protocol = kProtocolVersion3 + *rc::gen::inRange<uint32_t>(0, 5);
  packet.parameters =
      *rc::gen::container<std::vector<std::pair<std::string, std::string>>>(rc::gen::pair(text, text));
  Bytes sent = encode_startup(packet);
  Result<Opening> read = parse_opening(ByteView(sent).subspan(4));
  RC_ASSERT(read.ok());
  auto* same = std::get_if<StartupPacket>(&*read);
  RC_ASSERT(same != nullptr);
  RC_ASSERT(same->protocol == packet.protocol);
  RC_ASSERT(same->parameters == packet.parameters);
}

}  // namespace
}  // namespace argon::wire
