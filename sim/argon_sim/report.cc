#include "sim/argon_sim/report.h"

#include <fmt/format.h>

#include <deque>
#include <fstream>
#include <span>

#include "core/env/points.h"

namespace argon::sim {
namespace {

// Those of the table that were hit, and how often.
nlohmann::ordered_json hits_of(std::span<const NamedPoint> table, const std::vector<uint64_t>& counts) {
  nlohmann::ordered_json hits = nlohmann::ordered_json::object();
  for (size_t i = 0; i < table.size(); i++)
    if (counts[i] > 0) hits[std::string(table[i].name)] = counts[i];
  return hits;
}

}  // namespace

nlohmann::ordered_json to_json(const scenarios::Report& report) {
  nlohmann::ordered_json json;
  json["scenario"] = report.scenario;
  json["seed"] = report.seed;
  json["ok"] = report.ok;
  json["hash"] = to_string(report.hash);
  json["events"] = report.events;
  json["virtual_seconds"] = static_cast<double>(report.virtual_time.to_milliseconds()) / 1000;
  json["wall_seconds"] = 0.0;
  json["little_under_faults"] = report.little_under_faults;
  json["commits_acked"] = report.work.commits_acked;
  json["pages_checked"] = report.work.pages_checked;
  json["branches"] = report.work.branches;
  json["restarts"] = report.restarts;
  nlohmann::ordered_json kinds = nlohmann::ordered_json::object();
  for (const faults::KindInfo& about : faults::all_kinds())
    if (report.faults[about.kind] > 0) kinds[std::string(about.name)] = report.faults[about.kind];
  json["faults"] = kinds;
  json["probes"] = hits_of(kProbes, report.probes);
  json["rare_branches"] = hits_of(kRareBranches, report.rare_branches);
  if (!report.ok) {
    json["oracle"] = report.oracle;
    json["failure"] = report.failure;
  }
  return json;
}

std::string to_text(const scenarios::Report& report) {
  std::string text;
  if (!report.ok) {
    text += "fault plan:\n" + print(report.plan);
    if (!report.broken_rest.faults.empty())
      text += "out of order while a core was healed:\n" + print(report.broken_rest);
    text += "latest log lines:\n";
    for (const std::string& line : report.log_lines) text += "  " + line + "\n";
    text += fmt::format("VIOLATED {}: {}\n", report.oracle, report.failure);
  }
  text += fmt::format(
      "{} seed {}: {}, {} events in {}.{:03} virtual seconds, {} commits, {} pages, {} restarts\n",
      report.scenario, report.seed, report.ok ? "holds" : "VIOLATED", report.events,
      report.virtual_time.to_seconds(), report.virtual_time.to_milliseconds() % 1000,
      report.work.commits_acked, report.work.pages_checked, report.restarts);
  return text;
}

namespace {

constexpr std::string_view kBecause = " because of ";

std::string event_line(const EventLog& log, const std::vector<Event>& events, uint64_t number) {
  Cause cause = log.cause(number);
  std::string why;
  if (cause.event != Cause::kNone)
    why = fmt::format("{}{}{}", kBecause, uint32_t{cause.event}, cause.by_timer != 0 ? " by a timer" : "");
  return fmt::format("{:>8} {}{}", number, log.describe(events[number]), why);
}

std::string line_of_file(const std::string& path, uint64_t number) {
  std::ifstream in(path);
  std::string line;
  for (uint64_t at = 0; std::getline(in, line); at++)
    if (at == number) return line;
  return {};
}

// The line of the event that caused the one on this line, and so on for a few.
std::string causes_of(const std::string& path, std::string line, const char* label) {
  std::string text;
  for (int depth = 0; depth < 4; depth++) {
    size_t because = line.find(kBecause);
    if (because == std::string::npos) return text + fmt::format("  {}   (the world itself)\n", label);
    line = line_of_file(path, std::stoull(line.substr(because + kBecause.size())));
    text += fmt::format("  {}   {}\n", label, line);
  }
  return text;
}

}  // namespace

std::string events_text(const EventLog& log) {
  std::string text;
  std::vector<Event> events = log.events();
  for (uint64_t i = 0; i < events.size(); i++) text += event_line(log, events, i) + "\n";
  return text;
}

std::vector<std::string> event_lines(const EventLog& log, uint64_t from, uint64_t to) {
  std::vector<std::string> lines;
  std::vector<Event> events = log.events();
  for (uint64_t i = from; i < std::min<uint64_t>(to, events.size()); i++)
    lines.push_back(event_line(log, events, i));
  return lines;
}

std::vector<std::string> latest_events(const EventLog& log, size_t count) {
  return event_lines(log, log.count() - std::min<uint64_t>(count, log.count()), log.count());
}

std::string compare_events(const std::string& first, const std::string& second) {
  std::ifstream a(first);
  std::ifstream b(second);
  std::deque<std::string> before;
  std::string left;
  std::string right;
  for (uint64_t at = 0;; at++) {
    bool more_a = static_cast<bool>(std::getline(a, left));
    bool more_b = static_cast<bool>(std::getline(b, right));
    if (!more_a && !more_b) return {};
    if (more_a && more_b && left == right) {
      before.push_back(left);
      if (before.size() > 8) before.pop_front();
      continue;
    }
    std::string text = fmt::format("the runs differ first at event {}\n", at);
    for (const std::string& line : before) text += "  both    " + line + "\n";
    text += "  first   " + (more_a ? left : std::string("(the run has ended)")) + "\n";
    text += "  second  " + (more_b ? right : std::string("(the run has ended)")) + "\n";
    if (more_a) text += "caused, nearest first, in the first run by\n" + causes_of(first, left, "first ");
    if (more_b) text += "and in the second by\n" + causes_of(second, right, "second");
    return text;
  }
}

}  // namespace argon::sim
