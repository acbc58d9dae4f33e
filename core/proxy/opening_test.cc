#include "core/proxy/opening.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/wire/pg_messages.h"

namespace argon::proxy {
namespace {

StartupPacket packet_of(std::vector<std::pair<std::string, std::string>> parameters) {
  return {wire::kProtocolVersion3, std::move(parameters)};
}

Route route(std::vector<std::pair<std::string, std::string>> parameters,
            const std::optional<std::string>& host = std::nullopt) {
  return route_of(packet_of(std::move(parameters)), host);
}

TEST(ProxyOpening, TheDatabaseNamesTheEndpoint) {
  Route named = route({{"user", "u"}, {"database", "main/postgres"}, {"application_name", "psql"}});
  EXPECT_EQ(named.endpoint, "main");
  EXPECT_EQ(*named.packet.find("database"), "postgres");
  EXPECT_EQ(*named.packet.find("application_name"), "psql");
  // The rest belongs to the database; without a rest, it is the server's default.
  EXPECT_EQ(*route({{"database", "a/b/c"}}).packet.find("database"), "b/c");
  Route without = route({{"user", "u"}, {"database", "main/"}});
  EXPECT_EQ(without.endpoint, "main");
  EXPECT_EQ(without.packet.find("database"), nullptr);
  EXPECT_FALSE(route({{"user", "u"}, {"database", "postgres"}}).endpoint);
  EXPECT_FALSE(route({{"user", "u"}}).endpoint);
}

TEST(ProxyOpening, AWordInOptionsNamesTheEndpoint) {
  Route named = route({{"database", "a/b"}, {"options", "-c search_path=x\\ y endpoint=dev -c a=b\\\\c"}});
  EXPECT_EQ(named.endpoint, "dev");
  EXPECT_EQ(*named.packet.find("options"), "-c search_path=x\\ y -c a=b\\\\c");
  EXPECT_EQ(*named.packet.find("database"), "a/b");  // named already, so the slash is the database's
  EXPECT_EQ(route({{"options", "endpoint=dev"}}).packet.find("options"), nullptr);
}

TEST(ProxyOpening, TheHostNameComesFirst) {
  Route named = route({{"options", "endpoint=dev"}, {"database", "a/b"}}, "prod");
  EXPECT_EQ(named.endpoint, "prod");
  EXPECT_EQ(named.packet.find("options"), nullptr);
  EXPECT_EQ(*named.packet.find("database"), "a/b");
}

TEST(ProxyOpening, WhatCannotBeAPacketIsSaid) {
  Bytes other(8);
  store_be(other.data(), uint32_t{2} << 16);
  EXPECT_TRUE(parse_opening(other).is(Code::Unsupported));
  Bytes whole = encode_startup(packet_of({{"user", "u"}}));
  ByteView body = ByteView(whole).subspan(4);
  ASSERT_TRUE(parse_opening(body).ok());
  for (size_t cut = 0; cut < body.size(); cut++)
    EXPECT_TRUE(parse_opening(body.first(cut)).is(Code::Invalid)) << cut;
}

RC_GTEST_PROP(ProxyOpening, PacketsComeBackAsTheyWere, ()) {
  auto text = rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)));
  StartupPacket packet;
  packet.protocol = wire::kProtocolVersion3 + *rc::gen::inRange<uint32_t>(0, 5);
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
}  // namespace argon::proxy
