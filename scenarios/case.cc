#include "scenarios/case.h"

#include "core/base/ids.h"

namespace argon::scenarios {
namespace {

constexpr std::string_view kHeader = "argon-case 1";
constexpr std::string_view kPlanHeader = "argon-plan ";
constexpr uint64_t kLatest = 1'000'000'000'000'000;  // microseconds, as in plans

Error invalid(size_t line, const std::string& what) {
  return Error(Code::Invalid, "case, line " + std::to_string(line) + ": " + what);
}

std::string_view next_word(std::string_view& line) {
  size_t end = std::min(line.find(' '), line.size());
  std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

Result<Duration> parse_time(std::string_view text) {
  TRY_ASSIGN(uint64_t us, parse_u64(text));
  if (us > kLatest) return Error(Code::Invalid, "the time " + std::string(text) + " is too large");
  return Duration::microseconds(static_cast<int64_t>(us));
}

// One line of the head. Invalid says what is wrong, without the line's number.
Status take(Case& c, std::string_view key, std::string_view rest) {
  if (key == "scenario" || key == "only") {
    if (rest.empty()) return Error(Code::Invalid, std::string(key) + " needs a name");
    (key == "only" ? c.only : c.scenario) = rest;
  } else if (key == "seed") {
    TRY_ASSIGN(c.seed, parse_u64(rest));
  } else if (key == "time") {
    TRY_ASSIGN(c.length, parse_time(rest));
    if (c.length.ns == 0) return Error(Code::Invalid, "a time above 0 was expected");
  } else if (key == "operations") {
    TRY_ASSIGN(c.limits.operations, parse_u64(rest));
  } else if (key == "from") {
    TRY_ASSIGN(c.limits.operations_from, parse_time(rest));
  } else if (key == "idle") {
    Span span;
    TRY_ASSIGN(span.from, parse_time(next_word(rest)));
    TRY_ASSIGN(span.to, parse_time(rest));
    if (span.from >= span.to || (!c.limits.idle.empty() && c.limits.idle.back().to >= span.from))
      return Error(Code::Invalid, "spans follow one another, and each ends after it begins");
    c.limits.idle.push_back(span);
  } else if (key == "lifted" && rest.empty()) {
    c.limits.lifted_by_healing = true;
  } else if (key == "size") {
    size_t space = rest.rfind(' ');  // names have several words
    if (space == std::string_view::npos || space == 0)
      return Error(Code::Invalid, "size needs a name and a number");
    TRY_ASSIGN(c.limits.sizes[std::string(rest.substr(0, space))], parse_u64(rest.substr(space + 1)));
  } else if (key == "reseed") {
    Reseed reseed;
    TRY_ASSIGN(reseed.event, parse_u64(next_word(rest)));
    TRY_ASSIGN(reseed.salt, parse_u64(rest));
    c.reseeds.push_back(reseed);
  } else {
    return Error(Code::Invalid, "'" + std::string(key) + "' is not known here");
  }
  return {};
}

}  // namespace

std::string print(const Case& c) {
  std::string text = std::string(kHeader) + "\n";
  auto line = [&](std::string_view key, const std::string& value) {
    text += std::string(key) + " " + value + "\n";
  };
  line("scenario", c.scenario);
  line("seed", std::to_string(c.seed));
  line("time", std::to_string(c.length.to_microseconds()));
  if (c.limits.operations.has_value()) line("operations", std::to_string(*c.limits.operations));
  if (c.limits.operations_from.ns > 0)
    line("from", std::to_string(c.limits.operations_from.to_microseconds()));
  for (const Span& span : c.limits.idle)
    line("idle",
         std::to_string(span.from.to_microseconds()) + " " + std::to_string(span.to.to_microseconds()));
  if (c.limits.lifted_by_healing) text += "lifted\n";
  for (const auto& [what, most] : c.limits.sizes) line("size", what + " " + std::to_string(most));
  for (const Reseed& r : c.reseeds) line("reseed", std::to_string(r.event) + " " + std::to_string(r.salt));
  if (!c.only.empty()) line("only", c.only);
  if (c.plan.has_value()) text += print(*c.plan);
  return text;
}

Result<Case> parse_case(std::string_view text) {
  Case c;
  size_t number = 0;
  bool header = false;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    number++;
    if (header && line.starts_with(kPlanHeader)) {
      TRY_ASSIGN(c.plan, faults::parse_plan(text));
      break;
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    if (!header) {
      if (line != kHeader) return invalid(number, "expected '" + std::string(kHeader) + "'");
      header = true;
      continue;
    }
    std::string_view key = next_word(line);
    Status taken = take(c, key, line);
    if (!taken.ok()) return invalid(number, taken.error().message());
  }
  if (!header) return invalid(number, "expected '" + std::string(kHeader) + "'");
  if (c.scenario.empty()) return invalid(number, "the scenario is missing");
  return c;
}

RunOptions to_options(const Case& c) {
  RunOptions options;
  options.seed = c.seed;
  options.length = c.length;
  options.plan = c.plan;
  options.limits = c.limits;
  options.reseeds = c.reseeds;
  options.only = c.only;
  return options;
}

}  // namespace argon::scenarios
