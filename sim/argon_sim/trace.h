// trace: a run as one self-contained page (a lane per node over virtual time), and as Perfetto JSON.

#pragma once

#include <string>

#include "scenarios/scenario.h"

namespace argon::sim {

// REQUIRES of both: the report's run kept its events.
// A page that needs no network: trace_page.html with the run's data in it.
std::string html_trace(const scenarios::Report& report);
// For ui.perfetto.dev: a process per node; messages as flows, faults as slices, commits and claims as
// counters.
std::string perfetto_trace(const scenarios::Report& report);

}  // namespace argon::sim
