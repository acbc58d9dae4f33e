// Main of every test program: GoogleTest's, with RapidCheck's seed fixed unless RC_PARAMS says otherwise.

#include <gtest/gtest.h>

#include <cstdlib>

int main(int argc, char** argv) {
  // RapidCheck seeds itself from the clock; a fixed seed makes a red run repeatable. RC_PARAMS overrides it.
  setenv("RC_PARAMS", "seed=20151107", 0);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
