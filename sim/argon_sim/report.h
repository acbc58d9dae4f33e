// What argon-sim prints of a run.

#pragma once

#include <string>

#include "scenarios/scenario.h"

namespace argon::sim {

// The one JSON object of DESIGN's last line, without a line end.
std::string to_json(const scenarios::Report& report, int64_t wall_milliseconds);
// For people: what was done, what went wrong, the latest log lines of a failed run.
std::string to_text(const scenarios::Report& report);

// Events as a file, for comparing two processes.
bool write_events(const scenarios::Report& report, const std::string& path);
// Empty where the files hold the same events; else the first difference, with what precedes it.
std::string compare_events(const std::string& first, const std::string& second);

}  // namespace argon::sim
