// argon-sim: runs scenarios from seeds. Exit codes: 0 holds, 1 violated, 2 usage, 3 not deterministic.

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "sim/argon_sim/explore.h"
#include "sim/argon_sim/report.h"

extern char** environ;

namespace argon::sim {
namespace {

constexpr int kHolds = 0;
constexpr int kViolated = 1;
constexpr int kUsage = 2;
constexpr int kNotDeterministic = 3;

using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string scenario;
  uint64_t seed = 1;
  int64_t seconds = 60;
  bool json = false;
  bool faults = false;
  bool log = false;
  bool each = false;
  bool quiet = false;
  std::string events;
  std::string plan;
  std::string seeds;
  std::string for_time;
  std::string failures = "argon-sim-failures";
  unsigned stop_after = 20;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
};

// What a failed CHECK's report adds: which run it was.
char abort_note[200];
void on_abort(int) {
  ssize_t ignored = write(2, abort_note, strlen(abort_note));
  static_cast<void>(ignored);
}

const scenarios::Scenario* look_up(const std::string& name) {
  const scenarios::Scenario* found = scenarios::find_scenario(name);
  if (found == nullptr)
    fmt::print(stderr, "argon-sim: no scenario '{}'; `argon-sim list` shows them\n", name);
  return found;
}

int list_faults(bool json) {
  auto array = nlohmann::ordered_json::array();
  for (const faults::KindInfo& about : faults::all_kinds()) {
    if (json)
      array.push_back({{"kind", about.name},
                       {"family", to_string(about.family)},
                       {"scope", to_string(about.scope)},
                       {"counter", about.name},
                       {"parameter", about.parameter},
                       {"what", about.what}});
    else
      fmt::print("{:<20} {:<11} {:<6} {}\n", about.name, to_string(about.family), to_string(about.scope),
                 about.what);
  }
  if (json) fmt::print("{}\n", array.dump());
  return kHolds;
}

int list(const Arguments& arguments) {
  if (arguments.faults) return list_faults(arguments.json);
  auto array = nlohmann::ordered_json::array();
  for (const scenarios::Scenario& scenario : scenarios::all_scenarios()) {
    if (arguments.json)
      array.push_back({{"scenario", scenario.name}, {"claim", scenario.claim}});
    else
      fmt::print("{:<16} {}\n", scenario.name, scenario.claim);
  }
  if (arguments.json) fmt::print("{}\n", array.dump());
  return kHolds;
}

int run(const Arguments& arguments, Clock::time_point began) {
  const scenarios::Scenario* scenario = look_up(arguments.scenario);
  if (scenario == nullptr) return kUsage;
  scenarios::RunOptions options;
  options.seed = arguments.seed;
  options.length = Duration::seconds(arguments.seconds);
  options.echo_log = arguments.log;
  options.keep_events = !arguments.events.empty();
  if (!arguments.plan.empty()) {
    std::ifstream in(arguments.plan);
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    Result<faults::Plan> plan = faults::parse_plan(text);
    if (!in.good() && text.empty()) plan = Error(Code::NotFound, "cannot read it");
    if (!plan.ok()) {
      fmt::print(stderr, "argon-sim: {}: {}\n", arguments.plan, plan.error().message());
      return kUsage;
    }
    options.plan = *plan;
  }
  snprintf(abort_note, sizeof abort_note, "argon-sim: aborted in %s, seed %llu\n", arguments.scenario.c_str(),
           static_cast<unsigned long long>(arguments.seed));
  signal(SIGABRT, on_abort);
  scenarios::Report report = run_scenario(*scenario, options);
  if (!arguments.events.empty() && !write_events(report, arguments.events)) {
    fmt::print(stderr, "argon-sim: cannot write {}\n", arguments.events);
    return kUsage;
  }
  if (!arguments.json) fmt::print("{}", to_text(report));
  int64_t wall = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began).count();
  fmt::print("{}\n", to_json(report, wall));
  return report.ok ? kHolds : kViolated;
}

// The same run in a process of its own (another address layout); its exit status, -1 where it crashed.
int run_apart(const Arguments& arguments, const std::string& events) {
  std::string seed = std::to_string(arguments.seed);
  std::string seconds = std::to_string(arguments.seconds);
  std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const char* argv[] = {self.c_str(),    "run",        arguments.scenario.c_str(),
                        "--seed",        seed.c_str(), "--seconds",
                        seconds.c_str(), "--json",     "--events",
                        events.c_str(),  nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  int error = posix_spawn(&pid, self.c_str(), &actions, nullptr, const_cast<char**>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return -1;
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int check_determinism(const Arguments& arguments) {
  if (look_up(arguments.scenario) == nullptr) return kUsage;
  std::string folder = (std::filesystem::temp_directory_path() / "argon-sim-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) {
    fmt::print(stderr, "argon-sim: cannot make a folder in {}\n",
               std::filesystem::temp_directory_path().string());
    return kUsage;
  }
  int first = run_apart(arguments, folder + "/first");
  int second = run_apart(arguments, folder + "/second");
  std::string difference = compare_events(folder + "/first", folder + "/second");
  if (difference.empty() && first != second)
    difference = fmt::format("the same events, but exit status {} and then {}\n", first, second);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  nlohmann::ordered_json json{{"scenario", arguments.scenario},
                              {"seed", arguments.seed},
                              {"deterministic", difference.empty()},
                              {"run_exit_status", first}};
  fmt::print("{}{}\n", difference, json.dump());
  if (!difference.empty()) return kNotDeterministic;
  return first == kHolds ? kHolds : kViolated;
}

// "90", "90s", "10m", "2h" in seconds; 0 where it is none of these.
int64_t parse_time(const std::string& text) {
  size_t digits = text.find_first_not_of("0123456789");
  Result<uint64_t> number = parse_u64(std::string_view(text).substr(0, digits));
  std::string unit = digits == std::string::npos ? "s" : text.substr(digits);
  if (!number.ok() || *number > 1'000'000) return 0;
  int64_t scale = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  return static_cast<int64_t>(*number) * scale;
}

bool parse_seeds(const std::string& text, ExploreOptions& options) {
  size_t dots = text.find("..");
  if (dots == std::string::npos) return false;
  Result<uint64_t> first = parse_u64(std::string_view(text).substr(0, dots));
  Result<uint64_t> last = parse_u64(std::string_view(text).substr(dots + 2));
  if (!first.ok() || !last.ok() || *first > *last) return false;
  options.first_seed = *first;
  options.last_seed = *last;
  return true;
}

int explore_seeds(const Arguments& arguments) {
  ExploreOptions options;
  for (const scenarios::Scenario& scenario : scenarios::all_scenarios())
    if (arguments.scenario == "all" && !scenario.selftest) options.what.push_back(&scenario);
  if (arguments.scenario != "all") {
    const scenarios::Scenario* scenario = look_up(arguments.scenario);
    if (scenario == nullptr) return kUsage;
    options.what = {scenario};
  }
  if (!arguments.seeds.empty() && !parse_seeds(arguments.seeds, options)) {
    fmt::print(stderr, "argon-sim: --seeds {}: expected A..B, with A not above B\n", arguments.seeds);
    return kUsage;
  }
  if (!arguments.for_time.empty()) {
    options.for_seconds = parse_time(arguments.for_time);
    if (options.for_seconds <= 0) {
      fmt::print(stderr, "argon-sim: --for {}: expected a time as 90s, 10m or 2h\n", arguments.for_time);
      return kUsage;
    }
  }
  if (arguments.seeds.empty() && arguments.for_time.empty()) {
    fmt::print(stderr, "argon-sim: explore needs --seeds A..B or --for TIME\n");
    return kUsage;
  }
  options.jobs = arguments.jobs;
  options.length = Duration::seconds(arguments.seconds);
  options.failures = arguments.failures;
  options.progress = !arguments.quiet;
  options.each = arguments.each;
  options.max_failures = arguments.stop_after;
  return explore(options);
}

// A run takes and gives back much memory and ends soon: nothing goes back to the system meanwhile.
void keep_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 4 << 20);
}

int main(int argc, char** argv) {
  auto began = Clock::now();
  keep_memory();
  Arguments a;
  CLI::App app{
      "Runs Argon's daemons in a simulated world, from seeds.\n"
      "Exit codes: 0 holds, 1 violated, 2 usage, 3 not deterministic."};
  app.require_subcommand(1);
  auto seconds = [&](CLI::App* command) {
    command->add_option("--seconds", a.seconds, "virtual seconds of a run")->check(CLI::Range(1, 1'000'000));
  };
  CLI::App* list_command = app.add_subcommand("list", "show the scenarios, or the kinds of faults");
  list_command->add_flag("--faults", a.faults, "one fault kind a line");
  list_command->add_flag("--json", a.json, "as JSON");
  CLI::App* run_command = app.add_subcommand("run", "one run; the last line is one JSON object");
  run_command->add_option("scenario", a.scenario)->required();
  run_command->add_option("--seed", a.seed, "draws everything")->required();
  run_command->add_flag("--json", a.json, "print nothing but the JSON object");
  run_command->add_flag("--log", a.log, "write the daemons' log lines to standard error as they come");
  run_command->add_option("--plan", a.plan, "take the fault plan from this file");
  run_command->add_option("--events", a.events, "write every event to this file");
  seconds(run_command);
  CLI::App* check_command =
      app.add_subcommand("check-determinism", "two runs, and the first event that differs");
  check_command->add_option("scenario", a.scenario)->required();
  check_command->add_option("--seed", a.seed)->required();
  seconds(check_command);
  CLI::App* explore_command =
      app.add_subcommand("explore", "many seeds; failures are kept with how to replay them");
  explore_command->add_option("scenario", a.scenario, "a scenario, or all")->required();
  explore_command->add_option("--seeds", a.seeds, "A..B");
  explore_command->add_option("--for", a.for_time, "a time, as 10m");
  explore_command->add_option("--jobs", a.jobs, "processes at once")->check(CLI::Range(1, 1024));
  explore_command->add_option("--failures", a.failures, "folder for what was found");
  explore_command->add_option("--stop-after", a.stop_after, "failures after which it stops")
      ->check(CLI::Range(1, 1'000'000));
  explore_command->add_flag("--each", a.each, "print every run's JSON object");
  explore_command->add_flag("--quiet", a.quiet, "no progress line");
  seconds(explore_command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kHolds : kUsage;
  }
  if (list_command->parsed()) return list(a);
  if (run_command->parsed()) return run(a, began);
  if (check_command->parsed()) return check_determinism(a);
  return explore_seeds(a);
}

}  // namespace
}  // namespace argon::sim

int main(int argc, char** argv) {
  return argon::sim::main(argc, argv);
}
