#include "sim/argon_sim/time_travel.h"

#include <fmt/format.h>
#include <unistd.h>

#include <map>

#include "core/base/ids.h"
#include "sim/argon_sim/report.h"
#include "sim/machine.h"

namespace argon::sim {
namespace {

constexpr size_t kContinuations = 16;
constexpr size_t kConfirming = 48;

std::string seconds(Duration d) {
  return fmt::format("{}.{:06} s", d.to_seconds(), d.to_microseconds() % 1'000'000);
}

// ---- a point

void list_files(const Inode& directory, const std::string& path, std::string& text, size_t& left) {
  for (const auto& [name, child] : directory.entries) {
    if (child->is_directory()) {
      list_files(*child, path + "/" + name, text, left);
    } else if (left > 0) {
      left--;
      text += fmt::format("    {:>10} {}/{}\n", child->size(), path, name);
    }
  }
}

std::string faults_of(const FaultState& state) {
  std::string text;
  for (const faults::KindInfo& about : faults::all_kinds())
    if (state.on(about.kind)) text += " " + std::string(about.name);
  return text;
}

std::string nodes_text(World& world) {
  std::string text = "nodes:" + faults_of(world.faults) + "\n";
  for (const auto& machine : world.machines()) {
    const char* state = machine->stalled()   ? "stalled"
                        : machine->up()      ? "up"
                        : machine->powered() ? "exited"
                                             : "off";
    text += fmt::format("  {:<14} {:<8} started {} times, {} bytes on disk{}{}\n", machine->name(), state,
                        machine->boots(), machine->storage().bytes_in_use(),
                        faults_of(machine->faults).empty() ? "" : ", in force:", faults_of(machine->faults));
    size_t left = 12;
    list_files(*machine->storage().root(), "", text, left);
  }
  return text;
}

std::string plan_text(const faults::Plan& plan, Duration now) {
  std::string text = "plan:\n";
  for (const faults::Fault& fault : plan.faults) {
    const char* when = fault.at > now ? "to come" : fault.at + fault.length > now ? "IN FORCE" : "over";
    text += fmt::format("  {:<9} {}\n", when, print(fault));
  }
  return text;
}

// Events with the remarks made at them.
std::string story(const EventLog& log, uint64_t from, uint64_t to, uint64_t marked) {
  std::string text;
  std::vector<std::string> lines = event_lines(log, from, to);
  auto remark = log.remarks().begin();
  while (remark != log.remarks().end() && remark->event < from) ++remark;
  for (uint64_t i = 0; i < lines.size(); i++) {
    text += (from + i == marked ? "=>" : "  ") + lines[i] + "\n";
    for (; remark != log.remarks().end() && remark->event == from + i; ++remark)
      text += fmt::format("{:>12} {}: {}\n", "", remark->kind, remark->text);
  }
  return text;
}

std::string state_text(scenarios::Run& run) {
  World& world = run.world();
  std::string text = fmt::format("at {}, after {} events\n", seconds(world.now()), world.log().count());
  text += nodes_text(world) + plan_text(run.report("").plan, world.now());
  if (!world.durable_claims().empty()) text += "claimed to be durable:\n";
  for (const auto& [key, value] : std::map(world.durable_claims().begin(), world.durable_claims().end()))
    text += fmt::format("  {} = {} ({})\n", key, value, to_string(Lsn(value)));
  text += "latest log lines:\n";
  const auto& lines = world.log_lines();
  for (size_t i = lines.size() - std::min<size_t>(lines.size(), 15); i < lines.size(); i++)
    text += "  " + lines[i] + "\n";
  uint64_t count = world.log().count();
  text += "latest events:\n" + story(world.log(), count - std::min<uint64_t>(count, 25), count, UINT64_MAX);
  return text;
}

// ---- why

class Inquiry {
 public:
  Inquiry(const scenarios::Case& what, unsigned jobs, bool progress)
      : what_(what), runs_(jobs), progress_(progress) {}

  int run() {
    Request request;
    request.what = what_;
    Outcome outcome = runs_.run(request);
    if (outcome.ok || !outcome.report.is_object()) {
      fmt::print("{}\n", outcome.ok ? "holds: there is no failure to explain" : outcome.failure);
      return outcome.ok ? 1 : 0;
    }
    wanted_ = outcome.signature;
    total_ = outcome.events();
    seconds_per_run_ = static_cast<int>(std::min<int64_t>(300, 5 + outcome.wall_ms * 4 / 1000));
    fmt::print("{}\n  {}\n  {} events\n", to_string(wanted_), outcome.failure, total_);
    std::fflush(stdout);
    if (!avoidable(0, kConfirming)) return inevitable();
    uint64_t sealed = search();
    tell(sealed);
    return 0;
  }

 private:
  // Does one of so many continuations from there on avoid the failure?
  bool avoidable(uint64_t event, size_t continuations) {
    std::vector<Request> requests(continuations);
    for (Request& request : requests) {
      request.what = what_;
      request.what.reseeds.push_back({event, ++salt_});
      request.seconds = seconds_per_run_;
    }
    Outcome found;
    int64_t index =
        runs_.first(requests, [&](const Outcome& o) { return o.ok || o.signature != wanted_; }, &found);
    if (progress_)
      fmt::print(stderr, "  event {:>9}: {}\n", event,
                 index >= 0 ? fmt::format("avoided by continuation {}", index + 1)
                            : fmt::format("none of {} avoids it", continuations));
    return index >= 0;
  }

  // How many of so many avoid it.
  size_t avoided(uint64_t event, size_t continuations) {
    size_t count = 0;
    for (size_t i = 0; i < continuations; i++) count += avoidable_quietly(event) ? 1 : 0;
    return count;
  }

  bool avoidable_quietly(uint64_t event) {
    Request request;
    request.what = what_;
    request.what.reseeds.push_back({event, ++salt_});
    request.seconds = seconds_per_run_;
    Outcome outcome = runs_.run(request);
    return outcome.ok || outcome.signature != wanted_;
  }

  // The event with that number seals the failure. What looks inevitable after few tries is tried again with
  // more.
  uint64_t search() {
    uint64_t low = 0;  // avoidable
    for (int round = 0;; round++) {
      uint64_t high = total_;  // not
      while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        (avoidable(middle, kContinuations) ? low : high) = middle;
      }
      if (high >= total_ || round == 4 || !avoidable(high, kConfirming)) return low;
      low = high;
    }
  }

  int inevitable() {
    fmt::print(
        "inevitable from the beginning: none of {} other continuations avoids it. The plan and the drawn "
        "configuration are enough.\n",
        kConfirming);
    print_json(0, "", 0);
    return 0;
  }

  void tell(uint64_t event) {
    size_t before = avoided(event, kContinuations);
    Request request;
    request.what = what_;
    request.keep_events = true;
    request.content = [event](const scenarios::Report& report) {
      const EventLog& log = *report.log;
      std::string text =
          "sealed by\n" + story(log, event, event + 1, event) + "which was caused, nearest first, by\n";
      Cause cause = log.cause(event);
      for (int depth = 0; depth < 8 && cause.event != Cause::kNone; depth++) {
        text += story(log, cause.event, cause.event + 1, UINT64_MAX);
        cause = log.cause(cause.event);
      }
      text +=
          "what happened around it\n" + story(log, event - std::min<uint64_t>(event, 12), event + 6, event);
      Duration now{log.events()[event].time};
      return text + plan_text(report.plan, now) + "\x01" + event_lines(log, event, event + 1).front() +
             "\x01";
    };
    Outcome outcome = runs_.run(request);
    size_t end = outcome.text.find('\x01');
    std::string line = end == std::string::npos ? "" : outcome.text.substr(end + 1);
    line = line.substr(0, line.find('\x01'));
    fmt::print(
        "before event {}, {} of {} other continuations avoid the failure; after it none of {} does\n{}",
        event, before, kContinuations, kConfirming, outcome.text.substr(0, end));
    print_json(event, line, before);
  }

  void print_json(uint64_t event, const std::string& line, size_t before) {
    nlohmann::ordered_json json{{"scenario", what_.scenario},
                                {"seed", what_.seed},
                                {"signature", to_string(wanted_)},
                                {"events", total_},
                                {"sealed_by", event},
                                {"event", line},
                                {"avoided_before", before},
                                {"continuations", kContinuations},
                                {"confirmed_with", kConfirming},
                                {"runs", runs_.started()}};
    fmt::print("{}\n", json.dump());
  }

  const scenarios::Case& what_;
  Runs runs_;
  bool progress_;
  Signature wanted_;
  uint64_t total_ = 0;
  int seconds_per_run_ = 300;
  uint64_t salt_ = 1'000'000;  // not those that shrink() used
};

}  // namespace

Result<Point> parse_point(const std::string& text) {
  Point point;
  Error expected(Code::Invalid, "'" + text + "': expected a time as 12.5, 750ms or 123us, or @EVENTS");
  if (text.starts_with('@')) {
    Result<uint64_t> event = parse_u64(std::string_view(text).substr(1));
    if (!event.ok()) return expected;
    point.event = *event;
    return point;
  }
  size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  Result<uint64_t> whole = parse_u64(std::string_view(text).substr(0, digits));
  if (!whole.ok() || *whole > 1'000'000'000) return expected;
  std::string unit = text.substr(digits);
  auto number = static_cast<int64_t>(*whole);
  if (unit == "us" || unit == "ms") {
    point.time = unit == "us" ? Duration::microseconds(number) : Duration::milliseconds(number);
    return point;
  }
  point.time = Duration::seconds(number);
  if (unit.empty() || unit == "s") return point;
  std::string fraction = unit.substr(1);
  if (fraction.ends_with('s')) fraction.pop_back();
  Result<uint64_t> parsed = parse_u64(fraction);
  if (unit[0] != '.' || !parsed.ok() || fraction.size() > 6) return expected;
  int64_t scale = 1'000'000;
  for (size_t i = 0; i < fraction.size(); i++) scale /= 10;
  point.time = point.time + Duration::microseconds(static_cast<int64_t>(*parsed) * scale);
  return point;
}

int show_point(const scenarios::Case& what, const Point& to) {
  Request request;
  request.what = what;
  request.keep_events = true;
  request.on_begin = [to](scenarios::Run& run) {
    auto show = [&run] {
      std::string text = state_text(run);
      for (size_t done = 0; done < text.size();) {
        ssize_t n = write(1, text.data() + done, text.size() - done);
        if (n <= 0) break;
        done += static_cast<size_t>(n);
      }
      _exit(0);
    };
    if (to.event != UINT64_MAX)
      run.world().at_event(to.event, show);
    else
      run.world().at(to.time, show);
  };
  Outcome outcome = Runs(1).run(std::move(request));
  if (outcome.report.is_object())
    fmt::print("the run ends before, at {} and after {} events\n", seconds(outcome.virtual_time()),
               outcome.events());
  fmt::print("{}", outcome.text);
  return 0;
}

int why(const scenarios::Case& what, unsigned jobs, bool progress) {
  return Inquiry(what, jobs, progress).run();
}

}  // namespace argon::sim
