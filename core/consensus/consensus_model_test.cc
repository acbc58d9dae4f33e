// The state machines under random and exhausted schedules (model_world.h).

#include <gtest/gtest.h>

#include "core/consensus/explorer.h"

namespace argon::consensus::model {
namespace {

Configuration nodes(int n) {
  Configuration c{ConfigurationGeneration(1), {}, {}};
  for (int i = 1; i <= n; ++i) c.members.push_back({NodeId(static_cast<uint64_t>(i)), "n", 1});
  return c;
}

TEST(RandomSchedules, CommittedWalNeverChanges) {
  size_t elections = 0;
  size_t truncations = 0;
  uint64_t committed = 0;
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    Random random(seed);
    Options options;
    options.configuration = nodes(seed % 5 == 0 ? 4 : 3);
    if (seed % 4 == 0)
      options.configuration.new_members = {options.configuration.members.back(), {NodeId(9), "n", 1}};
    options.proposers = 2 + static_cast<int>(random.below(2));
    options.records_max = 6;
    options.crashes_max = 8;
    options.drops_max = 12;
    options.attempts_max = 12;
    World world(options);
    std::string broken = run_random(world, random, 700);
    ASSERT_EQ(broken, "") << "seed " << seed;
    elections += world.elections();
    truncations += world.truncations();
    committed += world.committed_end() - kBase;
  }
  // It must not be idle.
  EXPECT_GT(elections, 3000u);
  EXPECT_GT(truncations, 100u);
  EXPECT_GT(committed, 4000u);
}

// The first proposer reaches acceptors 1 and 2, the second 1 and 3.
TEST(Explorer, TwoProposersThatShareAnAcceptor) {
  Options options;
  options.configuration = nodes(3);
  options.records_max = 1;
  options.crashes_max = 0;
  options.drops_max = 0;
  options.rpc = true;
  options.connected = true;
  options.reach = {{0, NodeId(1)}, {0, NodeId(2)}, {1, NodeId(1)}, {1, NodeId(3)}};
  Explored explored = explore(World(options), {});
  EXPECT_EQ(explored.broken, "");
  EXPECT_TRUE(explored.exhausted);
  EXPECT_EQ(explored.elections_most, 2u);
  EXPECT_EQ(explored.committed_most, kBase + 4);
  RecordProperty("states", static_cast<int>(explored.states));
}

TEST(Explorer, OneProposerWithACrashAndALostLink) {
  Options options;
  options.configuration = nodes(3);
  options.proposers = 1;
  options.attempts_max = 1;
  options.records_max = 1;
  options.drops_max = 1;
  options.rpc = true;
  options.connected = true;
  options.reach = {{0, NodeId(1)}, {0, NodeId(2)}};
  Explored explored = explore(World(options), {});
  EXPECT_EQ(explored.broken, "");
  EXPECT_TRUE(explored.exhausted);
  EXPECT_EQ(explored.committed_most, kBase + 2);
  RecordProperty("states", static_cast<int>(explored.states));
}

}  // namespace
}  // namespace argon::consensus::model
