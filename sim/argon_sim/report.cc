#include "sim/argon_sim/report.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace argon::sim {

std::string to_json(const scenarios::Report& report, int64_t wall_milliseconds) {
  nlohmann::ordered_json json;
  json["scenario"] = report.scenario;
  json["seed"] = report.seed;
  json["ok"] = report.ok;
  json["hash"] = to_string(report.hash);
  json["events"] = report.events;
  json["virtual_seconds"] = static_cast<double>(report.virtual_time.to_milliseconds()) / 1000;
  json["wall_seconds"] = static_cast<double>(wall_milliseconds) / 1000;
  json["commits_acked"] = report.work.commits_acked;
  json["pages_checked"] = report.work.pages_checked;
  json["branches"] = report.work.branches;
  json["restarts"] = report.restarts;
  nlohmann::ordered_json kinds = nlohmann::ordered_json::object();
  for (const faults::KindInfo& about : faults::all_kinds())
    if (report.faults[about.kind] > 0) kinds[std::string(about.name)] = report.faults[about.kind];
  json["faults"] = kinds;
  if (!report.probes.empty()) json["probes"] = report.probes;
  if (!report.ok) {
    json["oracle"] = report.oracle;
    json["failure"] = report.failure;
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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

bool write_events(const scenarios::Report& report, const std::string& path) {
  std::ofstream out(path);
  if (report.log == nullptr) return false;
  for (const Event& event : report.log->events()) out << report.log->describe(event) << '\n';
  return out.flush().good();
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
    return text;
  }
}

}  // namespace argon::sim
