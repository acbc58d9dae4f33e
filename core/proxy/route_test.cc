#include "core/proxy/route.h"

#include <gtest/gtest.h>

#include "core/wire/pg_messages.h"

namespace argon::proxy {
namespace {

Route route(std::vector<std::pair<std::string, std::string>> parameters) {
  return route_of({wire::kProtocolVersion3, std::move(parameters)});
}

TEST(ProxyRoute, TheDatabaseNamesTheEndpoint) {
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

TEST(ProxyRoute, AWordInOptionsNamesTheEndpoint) {
  Route named = route({{"database", "a/b"}, {"options", "-c search_path=x\\ y endpoint=dev -c a=b\\\\c"}});
  EXPECT_EQ(named.endpoint, "dev");
  EXPECT_EQ(*named.packet.find("options"), "-c search_path=x\\ y -c a=b\\\\c");
  EXPECT_EQ(*named.packet.find("database"), "a/b");  // named already, so the slash is the database's
  EXPECT_EQ(route({{"options", "endpoint=dev"}}).packet.find("options"), nullptr);
  EXPECT_NE(route({{"options", ""}}).packet.find("options"), nullptr);  // the client's own word
}

TEST(ProxyRoute, TheFirstLabelOfTheHostNamesTheEndpoint) {
  EXPECT_EQ(endpoint_in_host("main.example.org"), "main");
  EXPECT_EQ(endpoint_in_host("a-b.c"), "a-b");
  for (const char* none : {"", "localhost", ".example", "main.", "."})
    EXPECT_FALSE(endpoint_in_host(none)) << none;
}

}  // namespace
}  // namespace argon::proxy
