// Case: everything that makes one run, as text. What `explore` keeps, `shrink` makes smaller and `replay`
// runs.
//
// Text: a first line "argon-case 1", then a line each of `scenario NAME`, `seed N`, `time US` (length), and
// where they apply `operations N`, `from US` (operations begin), `idle US US` (there are none between),
// `lifted` (healing ends these), `size WHAT N`, `reseed EVENT SALT`, `only ORACLE`; then the plan
// (faults/plan.h) from its own first line on. Without a plan the seed draws it. Lines that begin with '#' and
// empty lines are ignored. parse(print(c)) == c.

#pragma once

#include <string>
#include <string_view>

#include "scenarios/scenario.h"

namespace argon::scenarios {

struct Case {
  std::string scenario;
  uint64_t seed = 1;
  Duration length = Duration::seconds(60);  // whole microseconds
  Limits limits;                            // times in whole microseconds
  std::vector<Reseed> reseeds;
  std::string only;
  std::optional<faults::Plan> plan;

  friend bool operator==(const Case&, const Case&) = default;
};

std::string print(const Case& c);
// Invalid, with the line's number and what was expected.
Result<Case> parse_case(std::string_view text);
// For run_scenario().
RunOptions to_options(const Case& c);

}  // namespace argon::scenarios
