// Scenario: a claim about the whole system, and a run that tries to break it.
//
// A scenario is a file with its claim in the head, and: a setup (machines, drawn from the seed), a
// workload, oracles (one file each) and a minimum of work. The frame draws the world and the fault
// plan, counts, and turns everything into a Report. A run that did almost nothing has failed.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "faults/plan.h"
#include "sim/event_log.h"
#include "sim/fault_driver.h"
#include "sim/machine.h"
#include "sim/world.h"

namespace argon::sim {
class PostgresHost;
}

namespace argon::scenarios {

class Run;

// [from, to)
struct Span {
  Duration from;
  Duration to;
  friend bool operator==(const Span&, const Span&) = default;
};

// What makes a run smaller than its seed draws it.
struct Limits {
  std::optional<uint64_t> operations;     // of the workload; then it idles
  Duration operations_from;               // it idles before that time
  std::vector<Span> idle;                 // and in these; ordered, apart from one another
  bool lifted_by_healing = false;         // heal() ends all three
  std::map<std::string, uint64_t> sizes;  // at most so many of what the scenario names with Run::limited()
  friend bool operator==(const Limits&, const Limits&) = default;
};

// Once `event` events have happened, chance goes on as the salt says (World::reseed).
struct Reseed {
  uint64_t event = 0;
  uint64_t salt = 0;
  friend bool operator==(const Reseed&, const Reseed&) = default;
};

struct RunOptions {
  uint64_t seed = 1;
  Duration length = Duration::seconds(60);  // of virtual time
  bool keep_events = false;
  bool echo_log = false;
  std::optional<faults::Plan> plan;  // instead of the drawn one
  Limits limits;
  std::vector<Reseed> reseeds;
  std::string only;  // not empty: violations of other oracles do not count, nor a lack of work
  sim::PostgresHost* postgres = nullptr;  // REQUIRES: not null where the scenario says so
  // Called when the world is made, before the scenario's body; and when it is there no more.
  std::function<void(Run&)> on_begin;
};

// What was done; the frame compares it with the least.
struct Work {
  uint64_t commits_acked = 0;
  uint64_t pages_checked = 0;
  uint64_t branches = 0;
};

struct Report {
  std::string scenario;
  uint64_t seed = 0;
  bool ok = true;
  std::string oracle;   // whose claim was violated
  std::string failure;  // what was found
  std::string place;    // file and line of the check that found it
  Hash128 hash;
  uint64_t events = 0;
  Duration virtual_time;
  Work work;
  bool little_under_faults = false;       // the minimum of work was not yet done when faults ended
  std::map<std::string, uint64_t> sizes;  // what Run::limited() was asked, and the drawn value
  std::vector<Duration> operations;       // when each operation of the workload was begun
  std::optional<Duration> healed;         // when all faults, but of what is left outside a core, had ended
  std::vector<std::string> nodes;         // names of the machines; that of index 1 first
  uint64_t restarts = 0;
  faults::Counters faults;
  std::vector<uint64_t> probes;         // hits of each, and how often each rare branch was taken: in the
  std::vector<uint64_t> rare_branches;  // order of core/env/points.h
  std::vector<sim::Feature> features;   // Coverage
  faults::Plan plan;
  faults::Plan broken_rest;  // while only a core was healed; drawn from the seed
  std::vector<std::string> log_lines;
  std::unique_ptr<sim::EventLog> log;  // where events were kept
};

// One run, as its scenario sees it.
class Run {
 public:
  explicit Run(const RunOptions& options);

  sim::World& world() { return world_; }
  const RunOptions& options() const { return options_; }
  // The workload's and the configuration's own stream.
  Random& random() { return random_; }
  Work& work() { return work_; }
  // The scenario's minimum of work for a run of this length. Asked for at the end of the run.
  void set_minimum(const Work& per_minute);
  // The plan had the object store out of order for half of the time or more: a pageserver that is killed then
  // may not come back before all is healed, and what is missing of the minimum may be done after that.
  bool store_was_away() const;
  // What of the minimum is missing; empty where nothing is, or where the run was made smaller.
  std::string missing_work() const;
  // Fails a run that had less of `what` than `per_minute` of the run's length; not one that was made smaller.
  void demand(const std::string& what, uint64_t had, uint64_t per_minute);

  // Asked by a workload before each operation (a transaction, a request); where the answer is no it idles and
  // asks again later.
  bool may_operate();
  // It was told to idle when it last asked, or the run was made smaller and nobody has asked: progress is not
  // to be expected.
  bool idles() const { return idles_ || (options_.limits != Limits() && operations_.empty()); }
  // The drawn value, or less where `options().limits` says so. For what a run has many of: "branches".
  uint64_t limited(const std::string& what, uint64_t drawn);

  using MayRot = std::function<bool(sim::Machine&, const std::string& path)>;
  // Draws (or takes the given) plan for these machines and lets it begin.
  // `caches` are those of the nodes whose disk may be lost, and files there may rot where `may_rot` says so.
  void start_faults(const std::vector<std::string>& nodes, Duration horizon,
                    std::vector<faults::Kind> never = {}, std::vector<std::string> caches = {},
                    MayRot may_rot = nullptr);
  // Ends all faults, but breaks for good whoever is not in the core (each in a way of the seed's): from here
  // on the core must make progress alone. `rivals` are those of the rest that the core would obey.
  void heal_core(const std::vector<std::string>& core, const std::vector<std::string>& rest,
                 const std::vector<std::string>& rivals);
  // Lets this plan begin, or the one given in the options.
  void start_plan(faults::Plan plan, MayRot may_rot = nullptr);
  // Ends all faults and starts whatever is down.
  void heal();

  // Notes the violation (the first counts) and ends the run. May be called from inside tasks.
  void fail(std::string oracle, std::string what,
            std::source_location place = std::source_location::current());
  bool failed() const { return !oracle_.empty(); }
  // world().run_for(), in steps, until the time has passed or something failed.
  void run_for(Duration time);
  // Until done() or the limit. True where done.
  bool run_until(const std::function<bool()>& done, Duration limit);

  // For traces only: what an oracle or a workload saw, on a machine (by name; none: the world).
  void remark(std::string_view machine, std::string_view kind, std::string text);

  Report report(std::string_view scenario);

 private:
  void reseed(uint64_t salt);
  uint64_t least(uint64_t per_minute) const;

  RunOptions options_;
  sim::World world_;
  Random random_;
  Work work_;
  Work minimum_;
  bool little_under_faults_ = false;
  faults::Plan plan_;
  faults::Plan broken_rest_;
  std::unique_ptr<sim::FaultDriver> driver_;
  std::unique_ptr<sim::FaultDriver> rest_driver_;
  std::string oracle_;
  std::string failure_;
  std::string place_;
  std::optional<Duration> healed_;
  bool idles_ = false;
  std::map<std::string, uint64_t> sizes_;
  std::vector<Duration> operations_;
};

struct Scenario {
  std::string_view name;
  std::string_view claim;
  void (*body)(Run& run);
  Work least_per_minute;  // of virtual time; a healthy run does many times that
  bool selftest = false;  // not part of `explore all`: fails on purpose, or is for figures
  bool sandbox = true;    // false: a run may ask anything of the operating system
  bool postgres = false;  // its computes are real servers: needs RunOptions::postgres
};

const std::vector<Scenario>& all_scenarios();
const Scenario* find_scenario(std::string_view name);
Report run_scenario(const Scenario& scenario, const RunOptions& options);
// The same in a world that is there already, and stays. REQUIRES: nothing has run in it.
Report run_scenario(const Scenario& scenario, Run& run);

}  // namespace argon::scenarios
