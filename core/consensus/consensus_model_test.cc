// The state machines under random and exhausted schedules (model_world.h).

#include <gtest/gtest.h>

#include <set>

#include "core/base/checksum.h"
#include "core/consensus/model_world.h"

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

struct Explored {
  size_t states = 0;
  size_t elections_max = 0;
  size_t truncations = 0;
  Lsn committed_max;
  bool exhausted = true;
  std::string broken;
};

Explored explore(const Options& options, size_t states_max) {
  Explored result;
  std::set<Hash128> seen;
  std::vector<World> stack{World(options)};
  while (!stack.empty() && result.broken.empty()) {
    World world = std::move(stack.back());
    stack.pop_back();
    for (const Action& action : world.enabled()) {
      World next = world;
      std::string broken = next.apply(action);
      if (!broken.empty()) {
        result.broken = broken + " after " + to_string(action);
        break;
      }
      Bytes print;
      next.fingerprint(print);
      if (!seen.insert(hash128(print)).second) continue;
      if (seen.size() > states_max) {
        result.exhausted = false;
        result.states = seen.size();
        return result;
      }
      result.elections_max = std::max(result.elections_max, next.elections());
      result.committed_max = std::max(result.committed_max, next.committed_end());
      result.truncations += next.truncations();
      stack.push_back(std::move(next));
    }
  }
  result.states = seen.size();
  return result;
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
  Explored explored = explore(options, 100'000);
  EXPECT_EQ(explored.broken, "");
  EXPECT_TRUE(explored.exhausted);
  EXPECT_EQ(explored.elections_max, 2u);
  EXPECT_EQ(explored.committed_max, kBase + 4);
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
  Explored explored = explore(options, 100'000);
  EXPECT_EQ(explored.broken, "");
  EXPECT_TRUE(explored.exhausted);
  EXPECT_EQ(explored.committed_max, kBase + 2);
  RecordProperty("states", static_cast<int>(explored.states));
}

}  // namespace
}  // namespace argon::consensus::model
