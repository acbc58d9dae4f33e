#include "core/objstore/keys.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace argon::objstore {
namespace {

RC_GTEST_PROP(ObjectKeys, GenerationsComeBack, (uint32_t generation)) {
  std::string name = with_generation("index.json", Generation(generation));
  RC_ASSERT(check_key(name).ok());
  auto parts = split_generation(name);
  RC_ASSERT(parts.has_value());
  RC_ASSERT(parts->first == "index.json");
  RC_ASSERT(parts->second == Generation(generation));
}

TEST(ObjectKeys, NamesWithoutAGenerationAreSeen) {
  for (std::string_view name : {"index.json", "x-0000002", "x-0000002G", "-0000002a", ""})
    EXPECT_FALSE(split_generation(name).has_value()) << name;
}

TEST(ObjectKeys, KeysThatCouldLeaveTheFolderAreInvalid) {
  for (const char* bad : {"", "/a", "a/", "a//b", "../a", "a/..", ".hidden", "a b", "a\\b", "a/.x/b"})
    EXPECT_TRUE(check_key(bad).is(Code::Invalid)) << bad;
  EXPECT_TRUE(check_key(std::string(kKeyMax + 1, 'a')).is(Code::Invalid));
  for (const char* good : {"a", "a/b.c-d_e", "tenants/00/timelines/11/L0-0000002a"})
    EXPECT_TRUE(check_key(good).ok());
}

}  // namespace
}  // namespace argon::objstore
