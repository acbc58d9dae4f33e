#include "scenarios/oracle_progress.h"

namespace argon::scenarios {
namespace {

constexpr size_t kCommits = 3;
constexpr size_t kPages = 3;

struct Position {
  size_t commits = 0;
  size_t pages = 0;
};

Position position(const Line& line) {
  return {line.reference->acknowledged(), line.events->pages_checked()};
}

// What keeps the line from being well; empty where it is.
std::string lacking(const Line& line, const Position& before) {
  if (line.computes.empty()) return {};
  Position now = position(line);
  if (now.commits < before.commits + kCommits) return line.name + " commits nothing";
  if (now.pages < before.pages + kPages) return "no page of " + line.name + " is read";
  return {};
}

}  // namespace

void check_progress(Cluster& cluster, const std::string& which, Duration limit) {
  Run& run = cluster.run();
  if (run.failed()) return;
  std::vector<Position> before;
  for (const auto& line : cluster.lines()) before.push_back(position(*line));
  auto behind = [&]() -> std::string {
    for (size_t i = 0; i < before.size(); i++)
      if (std::string what = lacking(*cluster.lines()[i], before[i]); !what.empty()) return what;
    return {};
  };
  if (run.run_until([&] { return behind().empty(); }, limit) || run.failed()) return;
  run.fail("progress " + which, behind() + " within " + std::to_string(limit.to_seconds()) + " s");
}

}  // namespace argon::scenarios
