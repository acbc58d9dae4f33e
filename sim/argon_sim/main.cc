// argon-sim: runs scenarios from seeds. Exit codes: 0 holds, 1 violated, 2 usage, 3 not deterministic.

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "core/env/points.h"
#include "sim/argon_sim/explore.h"
#include "sim/argon_sim/failure.h"
#include "sim/argon_sim/report.h"
#include "sim/argon_sim/runs.h"
#include "sim/argon_sim/shrink.h"
#include "sim/argon_sim/time_travel.h"
#include "sim/argon_sim/trace.h"

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
  bool probes = false;
  bool log = false;
  bool each = false;
  bool quiet = false;
  bool twice = false;
  bool guided = false;
  std::string events;
  std::string plan;
  std::string seeds;
  std::string for_time;
  std::string out;
  std::string to;
  std::string html;
  std::string perfetto;
  std::string failures = "argon-sim-failures";
  unsigned stop_after = 20;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
};

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

// Of one table in core/env/points.h.
void list_points(std::span<const NamedPoint> points, const char* kind, bool json,
                 nlohmann::ordered_json& array) {
  for (const NamedPoint& point : points) {
    if (json)
      array.push_back({{"kind", kind}, {"name", point.name}, {"what", point.what}});
    else
      fmt::print("{:<12} {:<38} {}\n", kind, point.name, point.what);
  }
}

int list_probes(bool json) {
  auto array = nlohmann::ordered_json::array();
  list_points(kProbes, "probe", json, array);
  list_points(kRareBranches, "rare-branch", json, array);
  if (json) fmt::print("{}\n", array.dump());
  return kHolds;
}

int list(const Arguments& arguments) {
  if (arguments.faults) return list_faults(arguments.json);
  if (arguments.probes) return list_probes(arguments.json);
  auto array = nlohmann::ordered_json::array();
  for (const scenarios::Scenario& scenario : scenarios::all_scenarios()) {
    if (arguments.json)
      array.push_back(
          {{"scenario", scenario.name}, {"claim", scenario.claim}, {"real_servers", scenario.postgres}});
    else
      fmt::print("{:<16} {}\n", scenario.name, scenario.claim);
  }
  if (arguments.json) fmt::print("{}\n", array.dump());
  return kHolds;
}

int usage(const std::string& what) {
  fmt::print(stderr, "argon-sim: {}\n", what);
  return kUsage;
}

// Runs it under everybody's eyes; the last line is the JSON object.
int run_case(const scenarios::Case& what, const Arguments& arguments, Clock::time_point began) {
  Request request;
  request.what = what;
  request.echo_log = arguments.log;
  if (!arguments.events.empty()) {
    request.keep_events = true;
    request.write_to = arguments.events;
    request.content = [](const scenarios::Report& report) { return events_text(*report.log); };
  }
  Outcome outcome = Runs(1).run(std::move(request));
  if (!arguments.json || !outcome.report.is_object()) fmt::print("{}", outcome.text);
  nlohmann::ordered_json json = outcome.report;
  if (json.is_object()) json.erase("tool");
  if (outcome.report.is_null())
    json = {{"scenario", what.scenario},
            {"seed", what.seed},
            {"ok", false},
            {"oracle", outcome.signature.oracle},
            {"failure", outcome.failure}};
  auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began).count();
  json["wall_seconds"] = static_cast<double>(wall) / 1000;
  fmt::print("{}\n", json.dump());
  return outcome.ok ? kHolds : kViolated;
}

// A scenario with --seed, or a file or folder that holds a case. An error says what is wrong.
Result<scenarios::Case> case_of(const Arguments& arguments, bool seed_given) {
  if (scenarios::find_scenario(arguments.scenario) == nullptr) {
    if (seed_given) return Error(Code::NotFound, "there is no scenario '" + arguments.scenario + "'");
    return read_case(arguments.scenario);
  }
  if (!seed_given) return Error(Code::Invalid, "a scenario needs --seed");
  scenarios::Case what;
  what.scenario = arguments.scenario;
  what.seed = arguments.seed;
  what.length = Duration::seconds(arguments.seconds);
  return what;
}

int run(const Arguments& arguments, Clock::time_point began) {
  if (look_up(arguments.scenario) == nullptr) return kUsage;
  Result<scenarios::Case> what = case_of(arguments, true);
  if (!what.ok()) return usage(what.error().message());
  if (!arguments.plan.empty()) {
    std::ifstream in(arguments.plan);
    if (!in) return usage(arguments.plan + ": cannot read it");
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    Result<faults::Plan> plan = faults::parse_plan(text);
    if (!plan.ok()) return usage(arguments.plan + ": " + plan.error().message());
    what->plan = *plan;
  }
  return run_case(*what, arguments, began);
}

int replay(const Arguments& arguments, Clock::time_point began) {
  Result<scenarios::Case> what = read_case(arguments.scenario);
  if (!what.ok()) return usage(what.error().message());
  if (arguments.to.empty()) return run_case(*what, arguments, began);
  Result<Point> to = parse_point(arguments.to);
  return to.ok() ? show_point(*what, *to) : usage("--to " + to.error().message());
}

int check_determinism(const Arguments& arguments) {
  if (look_up(arguments.scenario) == nullptr) return kUsage;
  Result<scenarios::Case> what = case_of(arguments, true);
  if (!what.ok()) return usage(what.error().message());
  bool holds = false;
  std::string difference = find_difference(*what, &holds);
  nlohmann::ordered_json json{{"scenario", arguments.scenario},
                              {"seed", arguments.seed},
                              {"deterministic", difference.empty()},
                              {"run_exit_status", holds ? kHolds : kViolated}};
  fmt::print("{}{}\n", difference, json.dump());
  if (!difference.empty()) return kNotDeterministic;
  return holds ? kHolds : kViolated;
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
  options.json = arguments.json;
  options.guided = arguments.guided;
  options.campaign_seed = arguments.seed;
  if (arguments.guided && arguments.twice)
    return usage("--guided and --twice: a second run is one of a seed");
  options.max_failures = arguments.stop_after;
  options.twice = arguments.twice;
  return explore(options);
}

int explain(const Arguments& arguments, bool seed_given) {
  Result<scenarios::Case> what = case_of(arguments, seed_given);
  if (!what.ok()) return usage(what.error().message());
  return why(*what, arguments.jobs, !arguments.quiet);
}

int trace(const Arguments& arguments, bool seed_given) {
  Result<scenarios::Case> what = case_of(arguments, seed_given);
  if (!what.ok()) return usage(what.error().message());
  if (arguments.html.empty() && arguments.perfetto.empty())
    return usage("trace needs --html FILE or --perfetto FILE");
  bool holds = true;
  for (bool html : {true, false}) {
    Request request;
    request.what = *what;
    request.keep_events = true;
    request.write_to = html ? arguments.html : arguments.perfetto;
    request.content = html ? html_trace : perfetto_trace;
    if (request.write_to.empty()) continue;
    Outcome outcome = Runs(1).run(request);
    if (outcome.report.is_null()) return usage(request.write_to + ": " + outcome.failure);
    holds = outcome.ok;
    fmt::print("{}: {} events, {}\n", request.write_to, outcome.events(),
               outcome.ok ? "holds" : to_string(outcome.signature));
  }
  return holds ? kHolds : kViolated;
}

int shrink_case(const Arguments& arguments, bool seed_given) {
  Result<scenarios::Case> what = case_of(arguments, seed_given);
  if (!what.ok()) return usage(what.error().message());
  ShrinkOptions options;
  options.what = *what;
  options.jobs = arguments.jobs;
  options.out = arguments.out;
  options.progress = !arguments.quiet;
  if (!arguments.for_time.empty()) options.for_seconds = parse_time(arguments.for_time);
  if (options.for_seconds <= 0) return usage("--for: expected a time as 90s, 10m or 2h");
  return shrink(options);
}

int main(int argc, char** argv) {
  auto began = Clock::now();
  Arguments a;
  CLI::App app{
      "Runs Argon's daemons in a simulated world, from seeds.\n"
      "Exit codes: 0 holds, 1 violated, 2 usage, 3 not deterministic."};
  app.require_subcommand(1);
  auto seconds = [&](CLI::App* command) {
    command->add_option("--seconds", a.seconds, "virtual seconds of a run")->check(CLI::Range(1, 1'000'000));
  };
  CLI::App* list_command =
      app.add_subcommand("list", "show the scenarios, or the kinds of faults, or the probes");
  list_command->add_flag("--faults", a.faults, "one fault kind a line");
  list_command->add_flag("--probes", a.probes, "one probe or rare branch of the product code a line");
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
  explore_command->add_flag("--guided", a.guided, "go on from runs that reached something new");
  explore_command->add_option("--seed", a.seed, "with --guided: what it draws from (1)");
  explore_command->add_flag("--json", a.json, "print totals as one JSON object at the end");
  explore_command->add_flag("--quiet", a.quiet, "no progress line");
  explore_command->add_flag("--twice", a.twice,
                            "run every seed again, with other addresses and other memory");
  seconds(explore_command);
  CLI::App* replay_command = app.add_subcommand("replay", "run what explore or shrink kept");
  replay_command->add_option("case", a.scenario, "a failure's folder, or a case")->required();
  replay_command->add_flag("--json", a.json, "print nothing but the JSON object");
  replay_command->add_flag("--log", a.log, "write the daemons' log lines to standard error as they come");
  replay_command->add_option("--events", a.events, "write every event to this file");
  replay_command->add_option("--to", a.to, "show the world at this point: 12.5, 750ms, 123us, or @EVENTS");
  CLI::App* why_command = app.add_subcommand("why", "the event that made the failure inevitable");
  why_command->add_option("case", a.scenario, "a failure's folder, a case, or a scenario with --seed")
      ->required();
  CLI::Option* why_seed = why_command->add_option("--seed", a.seed);
  why_command->add_option("--jobs", a.jobs, "processes at once")->check(CLI::Range(1, 1024));
  why_command->add_flag("--quiet", a.quiet, "no progress");
  seconds(why_command);
  CLI::App* trace_command = app.add_subcommand("trace", "a run to look at, over virtual time");
  trace_command->add_option("case", a.scenario, "a failure's folder, a case, or a scenario with --seed")
      ->required();
  CLI::Option* trace_seed = trace_command->add_option("--seed", a.seed);
  trace_command->add_option("--html", a.html, "write one page that needs no network");
  trace_command->add_option("--perfetto", a.perfetto, "write JSON for ui.perfetto.dev");
  seconds(trace_command);
  CLI::App* shrink_command =
      app.add_subcommand("shrink", "the smallest plan and workload that fail the same way");
  shrink_command->add_option("case", a.scenario, "a failure's folder, a case, or a scenario with --seed")
      ->required();
  CLI::Option* shrink_seed = shrink_command->add_option("--seed", a.seed);
  shrink_command->add_option("--for", a.for_time,
                             "a time after which the smallest so far is the answer (5m)");
  shrink_command->add_option("--jobs", a.jobs, "processes at once")->check(CLI::Range(1, 1024));
  shrink_command->add_option("--out", a.out, "folder for the result");
  shrink_command->add_flag("--quiet", a.quiet, "no progress line");
  seconds(shrink_command);
  rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kHolds : kUsage;
  }
  if (list_command->parsed()) return list(a);
  if (run_command->parsed()) return run(a, began);
  if (check_command->parsed()) return check_determinism(a);
  if (replay_command->parsed()) return replay(a, began);
  if (trace_command->parsed()) return trace(a, trace_seed->count() > 0);
  if (why_command->parsed()) return explain(a, why_seed->count() > 0);
  if (shrink_command->parsed()) return shrink_case(a, shrink_seed->count() > 0);
  return explore_seeds(a);
}

}  // namespace
}  // namespace argon::sim

int main(int argc, char** argv) {
  return argon::sim::main(argc, argv);
}
