#include "scenarios/oracle_progress.h"

namespace argon::scenarios {

void check_progress(Cluster& cluster, Duration limit) {
  constexpr size_t kCommits = 3;
  std::vector<size_t> before;
  if (cluster.run().failed()) return;
  for (const auto& line : cluster.lines()) before.push_back(line->reference->acknowledged());
  auto behind = [&]() -> const Line* {
    for (size_t i = 0; i < before.size(); i++)
      if (cluster.lines()[i]->writers > 0 &&
          cluster.lines()[i]->reference->acknowledged() < before[i] + kCommits)
        return cluster.lines()[i].get();
    return nullptr;
  };
  uint64_t pages = cluster.run().work().pages_checked;
  auto done = [&] { return behind() == nullptr && cluster.run().work().pages_checked >= pages + kCommits; };
  if (cluster.run().run_until(done, limit) || cluster.run().failed()) return;
  std::string who = behind() != nullptr ? behind()->name + " commits nothing" : "no page is read";
  cluster.run().fail("progress after healing", who + " within " + std::to_string(limit.to_seconds()) + " s");
}

}  // namespace argon::scenarios
