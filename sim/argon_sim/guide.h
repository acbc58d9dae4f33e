// Guide: what `explore --guided` runs next. It keeps, for each thing that some run reached (sim/coverage.h),
// the case that reached it first in virtual time; and makes new cases that are the same up to there, and
// differ afterwards: other chances, faults left out, longer, more of them soon after, or those that
// were there when something else was reached.
//
// A run is a function of its case, and what a case changes later cannot change what came before: so a new
// case has reached for certain what the old one had, and only the next rare event is still a matter of luck.
// One run in four is that of a plain seed.
//
// The same campaign seed and the same order of outcomes (one job) give the same cases.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "sim/argon_sim/runs.h"

namespace argon::sim {

class Guide {
 public:
  Guide(uint64_t campaign_seed, uint64_t first_seed, Duration length);

  // The next case of the scenario.
  scenarios::Case next(const std::string& scenario);
  // What became of it. Failed runs teach nothing: they are the result.
  void learn(const scenarios::Case& ran, const Outcome& outcome);

  uint64_t features() const;
  uint64_t mutants() const { return mutants_; }

 private:
  // One feature: how often it was reached, and the case to go on from.
  struct Known {
    uint64_t hits = 0;
    std::shared_ptr<const scenarios::Case> by;
    Duration at;
    uint64_t event = 0;
  };
  struct Scenario {
    uint64_t next_seed = 0;
    std::map<uint32_t, Known> known;
    std::vector<uint32_t> ids;  // of `known`, in the order in which they were reached
    std::map<faults::Kind, std::vector<faults::Fault>> faults;  // of plain seeds' plans: what may happen here
  };

  scenarios::Case fresh(const std::string& name, Scenario& scenario);
  Known& choose(Scenario& scenario);
  scenarios::Case mutant(const Known& from, Scenario& scenario);
  void keep_faults(const faults::Plan& plan, Scenario& scenario);
  void thin_out(std::vector<faults::Fault>& plan, Duration after);
  void stretch(std::vector<faults::Fault>& plan, Duration after, const Scenario& scenario);
  void splice(std::vector<faults::Fault>& plan, Duration after, const Known& other);
  void add(std::vector<faults::Fault>& plan, Duration after, const Scenario& scenario);

  Random random_;
  uint64_t first_seed_;
  Duration length_;
  uint64_t mutants_ = 0;
  std::map<std::string, Scenario> scenarios_;
};

}  // namespace argon::sim
