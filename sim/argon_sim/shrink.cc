#include "sim/argon_sim/shrink.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "core/base/random.h"
#include "sim/argon_sim/failure.h"

namespace argon::sim {
namespace {

using Clock = std::chrono::steady_clock;
using faults::Fault;
using scenarios::Case;

constexpr uint64_t kManyOperations = 1'000'000;
constexpr int64_t kSlowMs = 1000;     // of a run
constexpr size_t kFewOperations = 5;  // to read
constexpr uint64_t kSmallFaults = 5;  // what is looked for first
constexpr uint64_t kSmallOperations = 20;
constexpr int kSmallTries = 1000;
constexpr int kSmallAtOnce = 50;

bool is_liveness(const std::string& oracle) {
  return oracle.find("progress") != std::string::npos || oracle.find("liveness") != std::string::npos;
}

// Times are kept in whole microseconds, so that the case can be printed.
Duration scaled(Duration d, int64_t by, int64_t of) {
  return Duration::microseconds(d.to_microseconds() * by / of);
}

// Spans that meet become one.
void add_idle(std::vector<scenarios::Span>& spans, scenarios::Span more) {
  if (more.from >= more.to) return;
  std::erase_if(spans, [&](const scenarios::Span& other) {
    if (other.to < more.from || other.from > more.to) return false;
    more = {std::min(other.from, more.from), std::max(other.to, more.to)};
    return true;
  });
  spans.insert(std::ranges::lower_bound(spans, more.from, {}, &scenarios::Span::from), more);
}

Case scaled(Case c, int64_t by, int64_t of) {
  c.length = scaled(c.length, by, of);
  c.limits.operations_from = scaled(c.limits.operations_from, by, of);
  std::vector<scenarios::Span> idle;
  for (const scenarios::Span& span : c.limits.idle)
    add_idle(idle, {scaled(span.from, by, of), scaled(span.to, by, of)});
  c.limits.idle = std::move(idle);
  for (Fault& fault : c.plan->faults) {
    fault.at = scaled(fault.at, by, of);
    fault.length = scaled(fault.length, by, of);
  }
  return c;
}

class Shrinker {
 public:
  explicit Shrinker(const ShrinkOptions& options)
      : options_(options),
        runs_(options.jobs),
        deadline_(Clock::now() + std::chrono::seconds(options.for_seconds)) {}

  int run() {
    if (!begin()) return 1;
    drop_what_never_began();
    try_small();
    // What takes its time to happen is found with fewer operations while there is much of it.
    if (outcome_.wall_ms > kSlowMs) shorten(4);
    drop_faults(1);
    fewer_operations();
    rounds();
    // What this seed drew may need many; the same failure may need few where another one draws.
    other_seeds_ = operations().size() > kFewOperations;
    if (other_seeds_) {
      fewer_operations();
      rounds();
    }
    without_only();
    finish();
    return 0;
  }

 private:
  // The run must fail; its plan is written out, so that faults can be taken from it.
  bool begin() {
    best_ = options_.what;
    Request request;
    request.what = best_;
    outcome_ = runs_.run(request);
    if (outcome_.ok) {
      fmt::print("holds: {} seed {} does not fail, so there is nothing to shrink\n", best_.scenario,
                 best_.seed);
      return false;
    }
    wanted_ = outcome_.signature;
    seconds_per_run_ = static_cast<int>(std::min<int64_t>(300, 5 + outcome_.wall_ms * 4 / 1000));
    if (outcome_.report.is_object()) {
      best_.plan = outcome_.plan();
      if (wanted_.oracle != "crash" && wanted_.oracle != "sandbox") best_.only = wanted_.oracle;
    } else if (!best_.plan.has_value()) {
      best_.plan = faults::Plan();  // a process that could not report, as under a sanitizer
      if (!attempt({best_})) best_.plan.reset();
    }
    first_faults_ = faults();
    first_operations_ = operations().size();
    fmt::print("{}\n  {}\n  {} faults, {} operations, {} s\n", to_string(wanted_), outcome_.failure,
               first_faults_, first_operations_, best_.length.to_seconds());
    std::fflush(stdout);
    return best_.plan.has_value();
  }

  void rounds() {
    for (int round = 0; round < 3 && !late(); round++) {
      std::string before = print(best_);
      drop_faults(round == 0 ? 6 : 16);
      fewer_operations();
      drop_operations();
      smaller_sizes();
      shorten(8);
      if (print(best_) == before) break;
    }
  }

  // Where progress is missed, what the workload begins once all is healed is how that is seen: it is not
  // limited, and does not count.
  std::vector<Duration> operations_of(const Outcome& outcome) const {
    std::vector<Duration> times = outcome.operations();
    if (auto healed = outcome.healed(); healed && is_liveness(wanted_.oracle))
      times.erase(std::ranges::lower_bound(times, *healed), times.end());
    return times;
  }
  std::vector<Duration> operations() const { return operations_of(outcome_); }

  size_t faults() const { return best_.plan.has_value() ? best_.plan->faults.size() : 0; }
  bool late() const { return Clock::now() >= deadline_; }

  // The first of these cases that fails in the same way, and with so few operations, is the best from now on:
  // its index.
  std::optional<size_t> attempt(const std::vector<Case>& cases, size_t operations = SIZE_MAX) {
    if (late()) return {};
    std::vector<Request> requests(cases.size());
    for (size_t i = 0; i < cases.size(); i++) {
      requests[i].what = cases[i];
      requests[i].seconds = seconds_per_run_;
    }
    auto is_it = [&](const Outcome& o) {
      return !o.ok && o.signature == wanted_ && operations_of(o).size() <= operations;
    };
    Outcome found;
    int64_t index = runs_.first(requests, [&](const Outcome& o) { return late() || is_it(o); }, &found);
    std::optional<size_t> taken;
    if (index >= 0 && is_it(found)) {
      taken = static_cast<size_t>(index);
      best_ = cases[*taken];
      outcome_ = std::move(found);
    }
    show();
    return taken;
  }

  // Each case under so many chances: all under the present one first. `of_other_seeds`: every other time with
  // what another seed draws, knobs and topology included.
  std::vector<Case> vary(const std::vector<Case>& cases, int chances, bool of_other_seeds = false) {
    std::vector<Case> all = cases;
    for (int i = 1; i < chances; i++) {
      for (Case c : cases) {
        if (of_other_seeds && i % 2 == 0)
          c.seed = ++salt_;
        else
          c.reseeds = {{0, ++salt_}};
        all.push_back(std::move(c));
      }
    }
    return all;
  }

  // Certain: faults that begin after the end change nothing before it.
  void drop_what_never_began() {
    Case c = best_;
    std::erase_if(c.plan->faults, [&](const Fault& f) { return f.at > outcome_.virtual_time(); });
    if (c != best_) attempt({c});
  }

  // For a fifth of the time at most: what fails with hundreds of operations often fails with few, too, where
  // another seed or another order of events has it. Taking away step by step does not get there, if each step
  // between needs luck.
  void try_small() {
    if (wanted_.oracle == "minimum work") return;
    if (faults() <= kSmallFaults && operations().size() <= kSmallOperations) return;
    Random random(best_.seed);
    Clock::time_point until = Clock::now() + (deadline_ - Clock::now()) / 5;
    for (int tries = 0; tries < kSmallTries && Clock::now() < until; tries += kSmallAtOnce) {
      std::vector<Case> cases;
      for (int i = 0; i < kSmallAtOnce; i++) cases.push_back(small_case(random));
      if (attempt(cases)) return;
    }
  }

  // Few of the faults, few operations, around one of them or from the beginning on.
  Case small_case(Random& random) {
    Case c = best_;
    std::vector<Fault>& left = c.plan->faults;
    for (uint64_t most = random.below(kSmallFaults + 1); left.size() > most;)
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(random.below(left.size())));
    c.limits.operations = random.log_uniform(1, kSmallOperations);
    c.limits.lifted_by_healing = is_liveness(wanted_.oracle);
    if (!left.empty() && random.chance({1, 2})) {
      Duration at = left[random.below(left.size())].at;
      c.limits.operations_from = Duration::microseconds(random.between(Duration(), at).to_microseconds());
    }
    if (random.chance({1, 2})) c = scaled(c, 1, 4);
    if (random.chance({1, 2}))
      c.seed = ++salt_;
    else
      c.reseeds = {{0, ++salt_}};
    return c;
  }

  void drop_faults(int chances) {
    Case none = best_;
    none.plan->faults.clear();
    if (faults() > 0 && attempt(vary({none}, 2 + chances))) return;
    drop_kinds(chances);
    for (size_t chunk = (faults() + 1) / 2; chunk >= 1 && !late();) {
      std::vector<Case> smaller;
      for (size_t begin = 0; begin < faults(); begin += chunk) {
        Case c = best_;
        auto first = c.plan->faults.begin() + static_cast<std::ptrdiff_t>(begin);
        c.plan->faults.erase(first, first + static_cast<std::ptrdiff_t>(std::min(chunk, faults() - begin)));
        smaller.push_back(std::move(c));
      }
      // Few faults: one less matters more than the time it takes.
      if (!smaller.empty() && attempt(vary(smaller, faults() <= 10 ? chances * 2 : chances)))
        chunk = std::min(chunk, (faults() + 1) / 2);
      else
        chunk /= 2;
      if (faults() == 0) break;
    }
  }

  // Whole kinds, then all of a node: most of a drawn plan has nothing to do with the failure.
  void drop_kinds(int chances) {
    for (bool by_node : {false, true}) {
      for (bool again = true; again && !late();) {
        std::map<std::string, Case> without;
        for (const Fault& fault : best_.plan->faults) {
          std::string group = by_node ? fault.node : std::string(info(fault.kind).name);
          auto [entry, is_new] = without.try_emplace(group, best_);
          if (!is_new) continue;
          std::erase_if(entry->second.plan->faults, [&](const Fault& f) {
            return by_node ? f.node == fault.node : f.kind == fault.kind;
          });
        }
        std::vector<Case> cases;
        for (auto& [group, c] : without) cases.push_back(std::move(c));
        again = cases.size() > 1 && attempt(vary(cases, chances));
      }
    }
  }

  // Half the time, all faults in proportion; or only the end cut off; or begun later. Never for more
  // operations.
  void shorten(int chances) {
    while (best_.length > Duration::seconds(1) && !late()) {
      std::vector<Case> cases = {scaled(best_, 1, 2)};
      Case cut = best_;
      cut.length = scaled(best_.length, 1, 2);
      cases.push_back(cut);
      Case moved = cut;
      for (Fault& f : moved.plan->faults) f.at = f.at > cut.length ? f.at - cut.length : scaled(f.at, 1, 2);
      cases.push_back(moved);
      cases.push_back(scaled(best_, 3, 4));
      if (!attempt(vary(cases, chances), operations().size())) return;
    }
  }

  void fewer_operations() {
    if (wanted_.oracle == "minimum work") return;
    uint64_t now = best_.limits.operations.value_or(kManyOperations);
    now = std::min<uint64_t>(now, operations().size());
    uint64_t failed_at = 0;
    for (uint64_t most : {1, 2, 3, 5, 8, 12, 20, 40, 80, 200}) {
      if (most >= now || late()) return;
      if (attempt_operations(most, 12)) break;
      failed_at = most;
    }
    for (now = best_.limits.operations.value_or(now); now > failed_at + 1 && !late();) {
      uint64_t middle = (now + failed_at) / 2;
      if (attempt_operations(middle, 8))
        now = middle;
      else
        failed_at = middle;
    }
  }

  // So many operations, somewhere in the run: from its beginning, before its end, before one of the faults.
  bool attempt_operations(uint64_t most, int chances) {
    std::vector<Duration> times = operations();
    std::set<Duration> begins = {Duration{}};
    if (times.size() > most) begins.insert(times[times.size() - most]);
    for (const Fault& fault : best_.plan->faults) {
      auto before = std::lower_bound(times.begin(), times.end(), fault.at) - times.begin();
      auto back = std::min<std::ptrdiff_t>(before, static_cast<std::ptrdiff_t>(most));
      if (begins.size() < 6 && !times.empty() && before < static_cast<std::ptrdiff_t>(times.size()))
        begins.insert(times[static_cast<size_t>(before - back)]);
    }
    std::vector<Case> cases;
    for (Duration from : begins) {
      Case c = best_;
      c.limits.operations = most;
      c.limits.operations_from = Duration::microseconds(from.to_microseconds());
      c.limits.lifted_by_healing = is_liveness(wanted_.oracle);
      cases.push_back(std::move(c));
    }
    return attempt(vary(cases, other_seeds_ ? chances * 2 : chances, other_seeds_)).has_value();
  }

  // Spans of time without any: half of them, then each quarter, and so on.
  void drop_operations() {
    if (wanted_.oracle == "minimum work") return;
    size_t count = operations().size();
    for (size_t chunk = (count + 1) / 2; count > kFewOperations && chunk >= 1 && !late(); chunk /= 2) {
      for (size_t at = 0; at < count && !late();) {
        std::vector<Case> cases = without_operations(at, chunk);
        std::optional<size_t> taken = attempt(vary(cases, 4), count - 1);
        if (!taken) break;
        at += *taken % cases.size() * chunk;  // what is before it was of no use before
        count = operations().size();
      }
    }
  }

  // From operation `at` on: a case for each chunk of them.
  std::vector<Case> without_operations(size_t at, size_t chunk) const {
    std::vector<Duration> times = operations();
    auto time = [&](size_t i) {
      return i == 0             ? Duration()
             : i < times.size() ? Duration::microseconds(times[i].to_microseconds())
                                : best_.length * 2;
    };
    std::vector<Case> cases;
    for (; at < times.size(); at += chunk) {
      Case c = best_;
      c.limits.lifted_by_healing = is_liveness(wanted_.oracle);
      add_idle(c.limits.idle, {time(at), std::max(time(at + chunk), time(at) + Duration::microseconds(1))});
      cases.push_back(std::move(c));
    }
    return cases;
  }

  void smaller_sizes() {
    for (const auto& [what, drawn] : outcome_.sizes()) {
      auto limit = best_.limits.sizes.find(what);
      uint64_t now = limit == best_.limits.sizes.end() ? drawn : limit->second;
      std::vector<Case> cases;
      for (uint64_t size = 0; size < now; size++) {
        Case c = best_;
        c.limits.sizes[what] = size;
        cases.push_back(std::move(c));
      }
      if (!cases.empty()) attempt(vary(cases, 4));
    }
  }

  // Where no other oracle would have spoken first, the case does not need to say which one counts. A limited
  // workload keeps it: the case must hold once the bug is gone, and it cannot make progress.
  void without_only() {
    if (best_.limits != scenarios::Limits()) return;
    Case c = best_;
    c.only.clear();
    if (c != best_) attempt({c});
  }

  void show() {
    if (!options_.progress) return;
    bool terminal = isatty(2) != 0;
    auto now = Clock::now();
    if (!terminal && now - shown_ < std::chrono::seconds(5)) return;
    shown_ = now;
    fmt::print(stderr, "{}{} runs: {} faults, {} operations, {}.{:03} s{}", terminal ? "\r\033[K" : "",
               runs_.started(), faults(), operations().size(), best_.length.to_seconds(),
               best_.length.to_milliseconds() % 1000, terminal ? "" : "\n");
  }

  void finish() {
    if (options_.progress && isatty(2) != 0) fmt::print(stderr, "\r\033[K");
    std::filesystem::path folder = options_.out;
    if (folder.empty())
      folder = failure_folder("argon-sim-failures", best_.scenario, wanted_).string() + "-shrunk";
    std::filesystem::remove_all(folder);
    Request request;
    request.what = best_;
    keep_failure(folder, request, outcome_, runs_);
    auto wall = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began_).count();
    nlohmann::ordered_json json{
        {"scenario", best_.scenario},
        {"seed", best_.seed},
        {"signature", to_string(wanted_)},
        {"faults", faults()},
        {"operations", operations().size()},
        {"operations_after_healing", outcome_.operations().size() - operations().size()},
        {"virtual_seconds", static_cast<double>(best_.length.to_milliseconds()) / 1000},
        {"faults_before", first_faults_},
        {"operations_before", first_operations_},
        {"runs", runs_.started()},
        {"wall_seconds", wall}};
    fmt::print("{}  {}\n  kept:  {}\n  again: argon-sim replay {}\n{}\n", print(best_), outcome_.failure,
               folder.string(), folder.string(), json.dump());
  }

  const ShrinkOptions& options_;
  Runs runs_;
  Clock::time_point began_ = Clock::now();
  Clock::time_point deadline_;
  Clock::time_point shown_;
  Signature wanted_;
  Case best_;
  Outcome outcome_;  // of the best
  int seconds_per_run_ = 300;
  uint64_t salt_ = 0;
  bool other_seeds_ = false;
  size_t first_faults_ = 0;
  size_t first_operations_ = 0;
};

}  // namespace

int shrink(const ShrinkOptions& options) {
  return Shrinker(options).run();
}

}  // namespace argon::sim
