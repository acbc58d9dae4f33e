// Plan: what goes wrong in one run, as data. Drawn from a seed, printed and parsed as text.
//
// Text: a first line "argon-plan 1", then a fault a line, `KIND at=US for=US [node=NAME]
// [from=NAME to=NAME] [value=N]`, times in microseconds since the world began. Empty lines and lines
// that begin with '#' are ignored. parse(print(p)) == p.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "faults/kind.h"

namespace argon::faults {

// Names of nodes: 1 to 64 letters, digits, '-', '_' or '.'.
struct Fault {
  Kind kind = Kind::Reset;
  Duration at;        // whole microseconds
  Duration length;    // whole microseconds; 0 where the kind does not last
  std::string node;   // of Scope::Node; the sender of Scope::Link
  std::string to;     // of Scope::Link
  int64_t value = 0;  // see KindInfo::parameter

  friend bool operator==(const Fault&, const Fault&) = default;
};

struct Plan {
  std::vector<Fault> faults;  // in order of `at`

  friend bool operator==(const Plan&, const Plan&) = default;
};

std::string print(const Fault& fault);
std::string print(const Plan& plan);
// Invalid, with the line's number and what was expected.
Result<Plan> parse_plan(std::string_view text);

struct DrawOptions {
  std::vector<std::string> nodes;  // who may be hit
  Duration horizon;                // faults begin and end before it
  std::vector<Kind> never;         // kinds left out
  // Those of the nodes whose disk may be lost (Hits::Cache).
  std::vector<std::string> caches = {};
};

// Swarm testing: each family is off in half the plans, then each kind of it in a quarter; how often
// and how hard is drawn anew for each plan, over powers of two.
Plan draw_plan(Random& random, const DrawOptions& options);

// Who is to make progress alone, and who is out of order meanwhile.
struct CoreOptions {
  std::vector<std::string> core;
  std::vector<std::string> rest;
  // Of the rest: must not act on the core (it would rightly be obeyed), so it never runs and reaches the
  // core.
  std::vector<std::string> rivals;
  Duration at;
  Duration length;  // longer than anybody waits
};

// Each of the rest is one of: without power, frozen, in a crash loop, cut off from all of the core in both
// directions or in one.
Plan draw_broken_rest(Random& random, const CoreOptions& options);

}  // namespace argon::faults
