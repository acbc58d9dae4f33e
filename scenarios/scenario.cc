#include "scenarios/scenario.h"

#include <algorithm>

namespace argon::scenarios {
namespace {

sim::WorldOptions world_options(const RunOptions& options) {
  sim::WorldOptions drawn = sim::WorldOptions::drawn(options.seed);
  drawn.keep_events = options.keep_events;
  drawn.echo_log = options.echo_log;
  return drawn;
}

}  // namespace

Run::Run(const RunOptions& options)
    : options_(options), world_(world_options(options)), random_(world_.stream("scenario")) {
  for (const Reseed& r : options_.reseeds) world_.at_event(r.event, [this, salt = r.salt] { reseed(salt); });
  if (options_.on_begin != nullptr) options_.on_begin(*this);
}

void Run::reseed(uint64_t salt) {
  world_.reseed(salt);
  random_ = random_.fork("reseed " + std::to_string(salt));
  if (driver_ != nullptr) driver_->reseed(salt);
}

bool Run::may_operate() {
  const Limits& limits = options_.limits;
  bool limited = !(healed_.has_value() && limits.lifted_by_healing);
  bool all_done = limits.operations.has_value() && operations_.size() >= *limits.operations;
  bool in_a_span = std::ranges::any_of(
      limits.idle, [now = world_.now()](const Span& span) { return now >= span.from && now < span.to; });
  idles_ = limited && (all_done || in_a_span || world_.now() < limits.operations_from);
  if (!idles_) operations_.push_back(world_.now());
  return !idles_;
}

uint64_t Run::limited(const std::string& what, uint64_t drawn) {
  uint64_t& asked = sizes_[what];
  asked = std::max(asked, drawn);
  auto limit = options_.limits.sizes.find(what);
  return limit == options_.limits.sizes.end() ? drawn : std::min(drawn, limit->second);
}

void Run::remark(std::string_view machine, std::string_view kind, std::string text) {
  if (!world_.traced()) return;
  sim::Machine* found = world_.find_machine(machine);
  world_.remark(found != nullptr ? found->index() : 0, kind, std::move(text));
}

void Run::start_faults(const std::vector<std::string>& nodes, Duration horizon,
                       std::vector<faults::Kind> never, std::vector<std::string> caches, MayRot may_rot) {
  Random random = world_.stream("fault plan");
  start_plan(faults::draw_plan(random, {nodes, horizon, std::move(never), std::move(caches)}),
             std::move(may_rot));
}

void Run::start_plan(faults::Plan plan, MayRot may_rot) {
  plan_ = options_.plan.has_value() ? *options_.plan : std::move(plan);
  driver_ = std::make_unique<sim::FaultDriver>(world_, plan_);
  driver_->allow_rot(std::move(may_rot));
  driver_->start();
}

void Run::heal_core(const std::vector<std::string>& core, const std::vector<std::string>& rest,
                    const std::vector<std::string>& rivals) {
  if (failed()) return;
  heal();
  Random random = world_.stream("broken rest");
  // Longer than any oracle waits.
  broken_rest_ =
      faults::draw_broken_rest(random, {core, rest, rivals, world_.now(), Duration::seconds(1'000'000)});
  rest_driver_ = std::make_unique<sim::FaultDriver>(world_, broken_rest_);
  rest_driver_->start();
}

void Run::heal() {
  if (!healed_.has_value()) little_under_faults_ = !missing_work().empty();
  healed_ = healed_.value_or(world_.now());
  if (driver_ != nullptr) driver_->heal();
  if (rest_driver_ != nullptr) rest_driver_->heal();
}

void Run::fail(std::string oracle, std::string what, std::source_location place) {
  if (failed() || (!options_.only.empty() && oracle != options_.only)) return;
  std::string_view file = place.file_name();  // from the top of the tree, or from the build's folder
  while (file.starts_with("../") || file.starts_with('/')) file.remove_prefix(file.find('/') + 1);
  place_ = std::string(file) + ":" + std::to_string(place.line());
  remark({}, "violated", oracle + ": " + what);
  oracle_ = std::move(oracle);
  failure_ = "at " + std::to_string(world_.now().to_microseconds()) + " us: " + what;
  world_.stop();
}

void Run::run_for(Duration time) {
  run_until([] { return false; }, time);
}

bool Run::run_until(const std::function<bool()>& done, Duration limit) {
  if (failed()) return false;
  return world_.run_until(done, limit) && !failed();
}

Report Run::report(std::string_view scenario) {
  Report r;
  r.scenario = scenario;
  r.seed = options_.seed;
  r.ok = !failed();
  r.oracle = oracle_;
  r.failure = failure_;
  r.place = place_;
  r.sizes = sizes_;
  r.operations = operations_;
  r.healed = healed_;
  r.hash = world_.hash();
  r.events = world_.log().count();
  r.virtual_time = world_.now();
  r.work = work_;
  r.little_under_faults = little_under_faults_;
  for (const auto& machine : world_.machines()) r.restarts += machine->boots() > 0 ? machine->boots() - 1 : 0;
  for (const auto& machine : world_.machines()) r.nodes.push_back(machine->name());
  r.faults = world_.counters;
  r.probes = world_.probes();
  r.rare_branches = world_.rare_branches();
  r.features = world_.coverage().features();
  r.plan = plan_;
  r.broken_rest = broken_rest_;
  r.log_lines.assign(world_.log_lines().begin(), world_.log_lines().end());
  if (options_.keep_events) r.log = std::make_unique<sim::EventLog>(world_.log());
  return r;
}

uint64_t Run::least(uint64_t per_minute) const {
  return per_minute * static_cast<uint64_t>(options_.length.to_seconds()) / 60;
}

void Run::set_minimum(const Work& per_minute) {
  minimum_ = {least(per_minute.commits_acked), least(per_minute.pages_checked), least(per_minute.branches)};
}

bool Run::store_was_away() const {
  Duration away, covered;  // the faults are in order of their beginnings
  for (const faults::Fault& fault : plan_.faults) {
    if (faults::info(fault.kind).family != faults::Family::ObjectStore) continue;
    Duration end = std::min(fault.at + fault.length, options_.length);
    if (end <= covered) continue;
    away = away + (end - std::max(fault.at, covered));
    covered = end;
  }
  return away >= options_.length / 2;
}

std::string Run::missing_work() const {
  if (options_.limits != Limits()) return {};
  auto missing = [](const char* what, uint64_t had, uint64_t wanted) {
    return had >= wanted
               ? std::string()
               : what + (": " + std::to_string(had)) + ", at least " + std::to_string(wanted) + " wanted";
  };
  std::string commits = missing("commits acknowledged", work_.commits_acked, minimum_.commits_acked);
  std::string pages = missing("pages checked", work_.pages_checked, minimum_.pages_checked);
  if (!commits.empty()) return commits;
  return !pages.empty() ? pages : missing("branches", work_.branches, minimum_.branches);
}

void Run::demand(const std::string& what, uint64_t had, uint64_t per_minute) {
  if (options_.limits == Limits() && had < least(per_minute))
    fail("minimum work",
         what + ": " + std::to_string(had) + ", at least " + std::to_string(least(per_minute)) + " wanted");
}

const Scenario* find_scenario(std::string_view name) {
  for (const Scenario& scenario : all_scenarios())
    if (scenario.name == name) return &scenario;
  return nullptr;
}

Report run_scenario(const Scenario& scenario, const RunOptions& options) {
  Run run(options);
  return run_scenario(scenario, run);
}

Report run_scenario(const Scenario& scenario, Run& run) {
  run.set_minimum(scenario.least_per_minute);
  scenario.body(run);
  if (std::string missing = run.missing_work(); !missing.empty()) run.fail("minimum work", missing);
  return run.report(scenario.name);
}

}  // namespace argon::scenarios
