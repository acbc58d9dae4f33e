#include "core/wire/pg_options.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace argon::wire {
namespace {

TEST(PgOptions, AllFormsOfClientsAreUnderstood) {
  Result<Parameters> options = parse_options("-c tenant_id=aa timeline_id=bb  --x=1 -cy=2 -c z=a\\ b");
  ASSERT_TRUE(options.ok()) << options.error().to_string();
  EXPECT_EQ(*options,
            (Parameters{{"tenant_id", "aa"}, {"timeline_id", "bb"}, {"x", "1"}, {"y", "2"}, {"z", "a b"}}));
}

TEST(PgOptions, WordsWithoutAValueAreRefused) {
  for (std::string_view bad : {"-c", "nothing", "-d x=1", "=1", "-c -c a=b"})
    EXPECT_TRUE(parse_options(bad).is(Code::Invalid)) << bad;
}

RC_GTEST_PROP(PgOptions, FormattedOnesParseBack, ()) {
  auto word =
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcxyz_ \\\t'\"-"))));
  Parameters options;
  for (int n = *rc::gen::inRange(0, 4); n > 0; n--) options["k" + *word] = *word;
  Result<Parameters> parsed = parse_options(format_options(options));
  RC_ASSERT(parsed.ok());
  RC_ASSERT(*parsed == options);
}

TEST(PgOptions, AStartupNamesItsTimeline) {
  Startup startup;
  startup.options = {{"tenant_id", "000102030405060708090a0b0c0d0e0f"},
                     {"timeline_id", "ff0102030405060708090a0b0c0d0e0f"}};
  ASSERT_TRUE(startup.timeline().ok());
  EXPECT_EQ(to_string(*startup.timeline()),
            "000102030405060708090a0b0c0d0e0f/ff0102030405060708090a0b0c0d0e0f");
  startup.options["tenant_id"] = "xyz";
  EXPECT_TRUE(startup.timeline().is(Code::Invalid));
  startup.options.erase("tenant_id");
  EXPECT_TRUE(startup.timeline().is(Code::Invalid));
}

TEST(PgOptions, ConnectionStringsMayQuote) {
  Result<Parameters> info = parse_conninfo("host=127.0.0.1 port=64000  password='a \\' b'");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(*info, (Parameters{{"host", "127.0.0.1"}, {"port", "64000"}, {"password", "a ' b"}}));
  EXPECT_TRUE(parse_conninfo("host='x").is(Code::Invalid));
  EXPECT_TRUE(parse_conninfo("host").is(Code::Invalid));
}

}  // namespace
}  // namespace argon::wire
