#include "sim/argon_sim/explore.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <span>

#include "core/env/points.h"
#include "sim/argon_sim/failure.h"
#include "sim/argon_sim/guide.h"
#include "sim/argon_sim/report.h"

namespace argon::sim {
namespace {

using Clock = std::chrono::steady_clock;

int64_t milliseconds_since(Clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - t).count();
}

std::string short_number(uint64_t n) {
  if (n >= 10'000'000) return fmt::format("{}M", n / 1'000'000);
  if (n >= 10'000) return fmt::format("{}k", n / 1000);
  return std::to_string(n);
}

// What all runs did together.
struct Totals {
  uint64_t runs = 0;
  uint64_t second_runs = 0;
  uint64_t failed = 0;
  uint64_t differing = 0;
  uint64_t little_under_faults = 0;  // runs whose minimum of work was not done before they were healed
  uint64_t events = 0;
  uint64_t commits = 0;
  uint64_t pages = 0;
  int64_t virtual_ms = 0;
  std::map<std::string, uint64_t> faults;
  std::map<std::string, uint64_t> probes;
  std::map<std::string, uint64_t> rare_branches;

  void add(const nlohmann::ordered_json& report) {
    events += report["events"].get<uint64_t>();
    virtual_ms += static_cast<int64_t>(report["virtual_seconds"].get<double>() * 1000);
    little_under_faults += report["little_under_faults"].get<bool>() ? 1 : 0;
    commits += report["commits_acked"].get<uint64_t>();
    pages += report["pages_checked"].get<uint64_t>();
    for (const auto& [kind, n] : report["faults"].items()) faults[kind] += n.get<uint64_t>();
    for (const auto& [name, n] : report["probes"].items()) probes[name] += n.get<uint64_t>();
    for (const auto& [name, n] : report["rare_branches"].items()) rare_branches[name] += n.get<uint64_t>();
  }

  std::string line(int64_t wall_ms, size_t kinds_of_failure) const {
    constexpr double kYear = 365.25 * 86400 * 1000;
    wall_ms = std::max<int64_t>(wall_ms, 1);
    uint64_t fault_total = 0;
    for (const auto& [kind, n] : faults) fault_total += n;
    std::string text = fmt::format(
        "{} runs, {} failed ({} failures), {:.5f} virtual years, {} times real time, {} k events/s, "
        "{} commits, {} pages, {} faults of {} kinds",
        runs, failed, kinds_of_failure, static_cast<double>(virtual_ms) / kYear, virtual_ms / wall_ms,
        events / static_cast<uint64_t>(wall_ms), commits, pages, fault_total, faults.size());
    if (little_under_faults > 0) text += fmt::format(", {} did little before healing", little_under_faults);
    if (second_runs > 0) text += fmt::format(", {} run twice, {} differ", second_runs, differing);
    return text;
  }

  static std::vector<std::string> missing(std::span<const NamedPoint> table,
                                          const std::map<std::string, uint64_t>& hits) {
    std::vector<std::string> names;
    for (const NamedPoint& point : table)
      if (!point.name.starts_with("selftest.") && !hits.contains(std::string(point.name)))
        names.emplace_back(point.name);
    return names;
  }

  nlohmann::ordered_json json(size_t kinds_of_failure) const {
    return {{"runs", runs},
            {"failed", failed},
            {"failures", kinds_of_failure},
            {"second_runs", second_runs},
            {"differing", differing},
            {"events", events},
            {"virtual_seconds", static_cast<double>(virtual_ms) / 1000},
            {"little_under_faults", little_under_faults},
            {"commits_acked", commits},
            {"pages_checked", pages},
            {"faults", faults},
            {"probes", probes},
            {"probes_never_hit", missing(kProbes, probes)},
            {"rare_branches", rare_branches},
            {"rare_branches_never_taken", missing(kRareBranches, rare_branches)}};
  }

  std::string table() const {
    std::string text;
    auto counts = [&](const char* what, const std::map<std::string, uint64_t>& map) {
      for (const auto& [name, n] : map) text += fmt::format("{} {:<38} {}\n", what, name, n);
    };
    counts("fault      ", faults);
    counts("probe      ", probes);
    counts("rare branch", rare_branches);
    for (const std::string& name : missing(kProbes, probes)) text += "never hit   " + name + "\n";
    for (const std::string& name : missing(kRareBranches, rare_branches))
      text += "never taken " + name + "\n";
    return text;
  }

  // The most frequent kinds.
  std::string top_faults(size_t count) const {
    std::vector<std::pair<uint64_t, std::string>> order;
    for (const auto& [kind, n] : faults) order.emplace_back(n, kind);
    std::sort(order.rbegin(), order.rend());
    std::string text;
    for (size_t i = 0; i < std::min(count, order.size()); i++)
      text += fmt::format("{}{} {}", i == 0 ? "" : " ", order[i].second, short_number(order[i].first));
    return text;
  }
};

class Exploration {
 public:
  explicit Exploration(const ExploreOptions& options)
      : options_(options), runs_(std::max(1u, options.jobs)), next_seed_(options.first_seed) {
    if (options.guided) guide_.emplace(options.campaign_seed, options.first_seed, options.length);
  }

  int run() {
    while (more() || !runs_.empty()) {
      while (!runs_.full() && (!second_.empty() || more())) start();
      for (auto& [tag, outcome] : runs_.wait(500)) {
        Running running = std::move(running_.at(tag));
        running_.erase(tag);
        ended(running, outcome);
      }
      show(false);
    }
    show(true);
    if (totals_.failed > 0) return 1;
    return totals_.differing > 0 ? 3 : 0;
  }

 private:
  struct Running {
    Request request;
    std::string first_hash;  // of the same seed's first run
  };

  bool more() const {
    if (totals_.failed + totals_.differing >= options_.max_failures) return false;
    if (!second_.empty()) return true;
    if (options_.for_seconds > 0 && milliseconds_since(began_) >= options_.for_seconds * 1000) return false;
    return next_seed_ <= options_.last_seed && next_seed_ != 0;
  }

  void start() {
    Running running;
    if (!second_.empty()) {
      running = std::move(second_.back());
      second_.pop_back();
    } else {
      running.request.what = next_case();
      if (++next_scenario_ == options_.what.size()) {
        next_scenario_ = 0;
        next_seed_++;
      }
    }
    uint64_t tag = next_tag_++;
    runs_.start(running.request, tag);
    running_.emplace(tag, std::move(running));
  }

  scenarios::Case next_case() {
    std::string scenario(options_.what[next_scenario_]->name);
    if (guide_) return guide_->next(scenario);
    scenarios::Case what;
    what.scenario = scenario;
    what.seed = next_seed_;
    what.length = options_.length;
    return what;
  }

  void ended(const Running& running, const Outcome& outcome) {
    const Request& request = running.request;
    if (request.apart) {
      totals_.second_runs++;
      if (outcome.hash() != running.first_hash) differs(request);
      return;
    }
    totals_.runs++;
    if (guide_) guide_->learn(request.what, outcome);
    if (outcome.report.is_object()) {
      totals_.add(outcome.report);
      if (options_.each) {
        auto shown = outcome.report;
        shown.erase("tool");
        shown["wall_seconds"] = static_cast<double>(outcome.wall_ms) / 1000;
        fmt::print("{}\n", shown.dump());
      }
    }
    // A plan made heavier than any that is drawn may leave too little time for work; that is no failure.
    bool overloaded = guide_ && request.what.plan.has_value() && outcome.signature.oracle == "minimum work";
    if (!outcome.ok && !overloaded) failed(request, outcome);
    if (!options_.twice || !outcome.report.is_object()) return;
    Running again{request, outcome.hash()};
    again.request.apart = true;
    second_.push_back(std::move(again));
  }

  std::string command(const scenarios::Case& what) const {
    return fmt::format("argon-sim run {} --seed {} --seconds {}", what.scenario, what.seed,
                       what.length.to_seconds());
  }

  void failed(const Request& request, const Outcome& outcome) {
    totals_.failed++;
    auto folder = failure_folder(options_.failures, request.what.scenario, outcome.signature);
    bool first = failures_.insert(folder.string()).second;
    clear_line();
    fmt::print("FAILED {} seed {}: {}: {}\n", request.what.scenario, request.what.seed,
               outcome.signature.oracle, outcome.failure);
    std::string again = guide_ ? "argon-sim replay " + folder.string() : command(request.what);
    if (first) fmt::print("  again: {}\n  kept:  {}\n", again, folder.string());
    std::fflush(stdout);
    Runs runs(1);
    keep_failure(folder, request, outcome, runs);
  }

  void differs(const Request& request) {
    totals_.differing++;
    clear_line();
    fmt::print(
        "NOT DETERMINISTIC {} seed {}\n  again: argon-sim check-determinism {} --seed {} --seconds {}\n{}",
        request.what.scenario, request.what.seed, request.what.scenario, request.what.seed,
        request.what.length.to_seconds(), find_difference(request.what));
    std::fflush(stdout);
  }

  void clear_line() const {
    if (options_.progress && isatty(2) != 0) fmt::print(stderr, "\r\033[K");
  }

  void show(bool end) {
    int64_t ms = milliseconds_since(began_);
    bool terminal = isatty(2) != 0;
    if (!end && (!options_.progress || ms - shown_ms_ < (terminal ? 500 : 10'000))) return;
    shown_ms_ = ms;
    std::string line = totals_.line(ms, failures_.size());
    if (guide_)
      line += fmt::format(", {} went on from one of {} points", guide_->mutants(), guide_->features());
    clear_line();
    if (!end) {
      fmt::print(stderr, "{}: {}{}", line, totals_.top_faults(4), terminal ? "" : "\n");
      return;
    }
    if (options_.json)
      print_json();
    else
      fmt::print("{}{}\n", totals_.table(), line);
  }

  void print_json() const {
    nlohmann::ordered_json json = totals_.json(failures_.size());
    if (guide_) json["guided"] = {{"mutants", guide_->mutants()}, {"points", guide_->features()}};
    fmt::print("{}\n", json.dump());
  }

  const ExploreOptions& options_;
  Clock::time_point began_ = Clock::now();
  Runs runs_;
  uint64_t next_seed_;
  uint64_t next_tag_ = 1;
  size_t next_scenario_ = 0;
  std::map<uint64_t, Running> running_;
  std::vector<Running> second_;
  Totals totals_;
  std::optional<Guide> guide_;
  std::set<std::string> failures_;
  int64_t shown_ms_ = 0;
};

}  // namespace

int explore(const ExploreOptions& options) {
  std::fflush(nullptr);
  return Exploration(options).run();
}

std::string find_difference(const scenarios::Case& what, bool* holds) {
  std::string folder = (std::filesystem::temp_directory_path() / "argon-sim-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + folder);
  Runs runs(2);
  Request request;
  request.what = what;
  request.keep_events = true;
  request.content = [](const scenarios::Report& report) { return events_text(*report.log); };
  request.write_to = folder + "/first";
  runs.start(request, 0);
  request.apart = true;
  request.write_to = folder + "/second";
  runs.start(request, 1);
  bool ok[2] = {};
  while (!runs.empty())
    for (auto& [tag, outcome] : runs.wait(1000)) ok[tag] = outcome.ok;
  if (holds != nullptr) *holds = ok[0];
  std::string difference = compare_events(folder + "/first", folder + "/second");
  if (difference.empty() && ok[0] != ok[1])
    difference = fmt::format("the same events, but the first run {} and the second {}\n",
                             ok[0] ? "holds" : "fails", ok[1] ? "holds" : "fails");
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return difference;
}

}  // namespace argon::sim
