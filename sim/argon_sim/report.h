// What argon-sim prints of a run.

#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "scenarios/scenario.h"

namespace argon::sim {

// The one JSON object of a run. "wall_seconds" is 0: a run knows no clock, whoever ran it fills it in.
nlohmann::ordered_json to_json(const scenarios::Report& report);
// For people: what was done, what went wrong, the plan and the latest log lines of a failed run.
std::string to_text(const scenarios::Report& report);

// An event a line, with its number and what caused it, for people and for comparing two processes.
std::string events_text(const EventLog& log);
std::vector<std::string> event_lines(const EventLog& log, uint64_t from, uint64_t to);
std::vector<std::string> latest_events(const EventLog& log, size_t count);
// Empty where the files hold the same events; else the first difference, what precedes it, and what caused it
// in each of them.
std::string compare_events(const std::string& first, const std::string& second);

}  // namespace argon::sim
