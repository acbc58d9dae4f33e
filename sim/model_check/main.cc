// argon-model-check: exhausts small worlds of the consensus core (core/consensus/explorer.h) and prints what
// it saw. Exit codes: 0 holds, 1 a claim is broken (with the schedule that breaks it), 2 usage.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "core/consensus/explorer.h"

namespace argon::consensus::model {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  std::vector<std::string> openings;
  int depth = 0;
  uint64_t states = 0;
  std::string for_time;
  bool shorter = false;
  bool list = false;
};

// "90", "90s", "10m", "2h" in seconds; 0 where it is none of these.
int64_t parse_time(const std::string& text) {
  size_t digits = text.find_first_not_of("0123456789");
  Result<uint64_t> number = parse_u64(std::string_view(text).substr(0, digits));
  std::string unit = digits == std::string::npos ? "s" : text.substr(digits);
  if (!number.ok() || *number > 1'000'000) return 0;
  int64_t scale = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  return static_cast<int64_t>(*number) * scale;
}

std::vector<const Opening*> chosen(const Arguments& arguments) {
  std::vector<const Opening*> all;
  for (const Opening& opening : openings()) {
    bool named = std::ranges::count(arguments.openings, opening.name) > 0;
    if (arguments.openings.empty() || named) all.push_back(&opening);
  }
  return all;
}

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

void print_one(const Opening& opening, const Explored& found, double seconds) {
  fmt::print(
      "{:<20} {:>11} states, {:>12} steps, depth {}{}, at most {} elections, {} bytes committed, {:.1f} s\n",
      opening.name, found.states, found.transitions, found.depth, found.exhausted ? " (all there is)" : "",
      found.elections_most, found.committed_most - kBase, seconds);
  if (found.broken.empty()) return;
  fmt::print("BROKEN in '{}': {}\n", opening.name, found.broken);
  for (const Action& action : found.trace) fmt::print("  {}\n", to_string(action));
}

int check(const Arguments& arguments) {
  std::vector<const Opening*> which = chosen(arguments);
  int64_t time = arguments.for_time.empty() ? 0 : parse_time(arguments.for_time);
  if (which.empty() || (!arguments.for_time.empty() && time == 0)) {
    fmt::print(stderr, "argon-model-check: no such opening or time; --list shows openings\n");
    return 2;
  }
  Clock::time_point began = Clock::now();
  uint64_t states = 0;
  uint64_t steps = 0;
  size_t broken = 0;
  for (size_t i = 0; i < which.size() && broken == 0; i++) {
    const Opening& opening = *which[i];
    Clock::time_point from = Clock::now();
    double share = (static_cast<double>(time) - seconds_since(began)) / static_cast<double>(which.size() - i);
    ExploreLimits limits;
    limits.depth = arguments.depth > 0 ? arguments.depth
                   : arguments.shorter ? opening.short_depth
                                       : opening.depth;
    if (arguments.states > 0)
      limits.states = std::max<uint64_t>(1, (arguments.states - states) / (which.size() - i));
    if (time > 0) {
      if (arguments.depth == 0) limits.depth = 1'000;
      limits.stop = [from, share] { return seconds_since(from) >= share; };
    }
    Start start = opening.make();
    Explored found;
    found.broken = start.broken.empty() ? "" : "on the way there: " + start.broken;
    if (start.broken.empty()) found = explore(start.world, limits);
    print_one(opening, found, seconds_since(from));
    std::fflush(stdout);
    states += found.states;
    steps += found.transitions;
    broken += found.broken.empty() ? 0 : 1;
  }
  fmt::print("model-check: {} distinct states, {} steps, {} openings, {} broken claims, {:.1f} s\n", states,
             steps, which.size(), broken, seconds_since(began));
  return broken == 0 ? 0 : 1;
}

}  // namespace
}  // namespace argon::consensus::model

int main(int argc, char** argv) {
  using namespace argon::consensus::model;
  Arguments arguments;
  CLI::App app(
      "Exhausts all schedules of 2 proposers, 3 acceptors and 3 entries with lost, repeated and delayed "
      "messages and a crash, also while a fourth acceptor replaces one, from several openings, up to a "
      "depth.");
  app.add_option("opening", arguments.openings, "only these (all)");
  app.add_option("--depth", arguments.depth, "actions (each opening's own)")->check(CLI::Range(1, 1'000));
  app.add_option("--states", arguments.states, "stop after so many distinct states over all openings");
  app.add_option("--for", arguments.for_time, "as deep as this time allows: 90s, 10m, 2h");
  app.add_flag("--short", arguments.shorter, "the depths of the tests");
  app.add_flag("--list", arguments.list, "show the openings");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!arguments.list) return check(arguments);
  for (const Opening& opening : openings())
    fmt::print("{:<20} depth {:>2}  {}\n", opening.name, opening.depth, opening.what);
  return 0;
}
