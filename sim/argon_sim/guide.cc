#include "sim/argon_sim/guide.h"

#include <algorithm>

namespace argon::sim {
namespace {

constexpr uint64_t kFreshOneIn = 4;
constexpr size_t kCandidates = 24;
constexpr size_t kFaultsMax = 256;  // of a kind
constexpr size_t kSplicedMost = 32;
constexpr size_t kPlanMost = 400;
constexpr Duration kMoment = Duration::seconds(2);
constexpr uint64_t kAddedMost = 48;
// Where so little is left of the time with faults there is nothing to change.
constexpr Duration kTooLate = Duration::milliseconds(500);

bool earlier(const faults::Fault& a, const faults::Fault& b) {
  return a.at < b.at;
}

}  // namespace

Guide::Guide(uint64_t campaign_seed, uint64_t first_seed, Duration length)
    : random_(Random(campaign_seed).fork("guide")), first_seed_(first_seed), length_(length) {}

uint64_t Guide::features() const {
  uint64_t sum = 0;
  for (const auto& [name, scenario] : scenarios_) sum += scenario.known.size();
  return sum;
}

scenarios::Case Guide::next(const std::string& name) {
  Scenario& scenario = scenarios_[name];
  bool plain = random_.below(kFreshOneIn) == 0;
  if (plain || scenario.known.empty()) return fresh(name, scenario);
  mutants_++;
  return mutant(choose(scenario), scenario);
}

scenarios::Case Guide::fresh(const std::string& name, Scenario& scenario) {
  scenarios::Case what;
  what.scenario = name;
  what.seed = first_seed_ + scenario.next_seed++;
  what.length = length_;
  return what;
}

// Of some drawn ones, what was reached most rarely. All that goes on from it reaches it again, so that
// others have their turn.
Guide::Known& Guide::choose(Scenario& scenario) {
  Known* best = nullptr;
  for (size_t i = 0; i < kCandidates; i++) {
    Known& one = scenario.known.at(scenario.ids[random_.below(scenario.ids.size())]);
    if (best == nullptr || one.hits < best->hits) best = &one;
  }
  return *best;
}

void Guide::learn(const scenarios::Case& ran, const Outcome& outcome) {
  if (!outcome.ok) return;
  Scenario& scenario = scenarios_[ran.scenario];
  scenarios::Case kept = ran;
  kept.plan = outcome.plan();
  if (!ran.plan.has_value()) keep_faults(*kept.plan, scenario);
  auto shared = std::make_shared<const scenarios::Case>(std::move(kept));
  for (const Feature& feature : outcome.features()) {
    if (feature.at + kTooLate > length_) continue;
    auto [found, made] = scenario.known.try_emplace(feature.id);
    Known& known = found->second;
    if (made) scenario.ids.push_back(feature.id);
    known.hits++;
    if (!made && known.at <= feature.at) continue;
    known.by = shared;
    known.at = feature.at;
    known.event = feature.event;
  }
}

void Guide::keep_faults(const faults::Plan& plan, Scenario& scenario) {
  for (const faults::Fault& fault : plan.faults) {
    std::vector<faults::Fault>& pool = scenario.faults[fault.kind];
    if (pool.size() < kFaultsMax)
      pool.push_back(fault);
    else
      pool[random_.below(kFaultsMax)] = fault;
  }
}

scenarios::Case Guide::mutant(const Known& from, Scenario& scenario) {
  scenarios::Case what = *from.by;
  std::erase_if(what.reseeds, [&](const scenarios::Reseed& r) { return r.event > from.event; });
  // From right after the run of the task that reached it, or some time later.
  uint64_t later = random_.log_uniform(1, 4096);
  uint64_t salt = random_.next() >> 1;
  what.reseeds.push_back({from.event + later, salt});
  std::vector<faults::Fault>& plan = what.plan->faults;
  bool thin = random_.below(2) == 0 || plan.size() > kPlanMost / 2;
  if (thin) thin_out(plan, from.at);
  if (random_.below(4) == 0) stretch(plan, from.at, scenario);
  if (random_.below(4) == 0) add(plan, from.at, scenario);
  for (uint64_t i = random_.below(4); i > 0; i--) splice(plan, from.at, choose(scenario));
  std::ranges::sort(plan, earlier);
  if (plan.size() > kPlanMost && plan[kPlanMost].at > from.at) plan.resize(kPlanMost);
  return what;
}

// Half of what is to come.
void Guide::thin_out(std::vector<faults::Fault>& plan, Duration after) {
  std::vector<faults::Fault> left;
  for (faults::Fault& fault : plan) {
    bool stays = fault.at <= after || random_.below(2) == 0;
    if (stays) left.push_back(std::move(fault));
  }
  plan = std::move(left);
}

// Some of what is in force goes on longer, as long as plain seeds have it.
void Guide::stretch(std::vector<faults::Fault>& plan, Duration after, const Scenario& scenario) {
  for (faults::Fault& fault : plan) {
    bool in_force = fault.at <= after && fault.at + fault.length > after;
    if (!in_force || random_.below(4) != 0) continue;
    auto pool = scenario.faults.find(fault.kind);
    if (pool == scenario.faults.end()) continue;
    Duration other = pool->second[random_.below(pool->second.size())].length;
    fault.length = std::min(std::max(fault.length, other), length_ - fault.at);
  }
}

// What went wrong when something else was reached, and for a moment before, goes wrong soon after, too.
void Guide::splice(std::vector<faults::Fault>& plan, Duration after, const Known& other) {
  int64_t delay = static_cast<int64_t>(random_.log_uniform(1000, 4'000'000));
  Duration shift = after + Duration::microseconds(delay) - other.at;
  std::vector<faults::Fault> more;
  auto there = [&](const faults::Fault& fault) {
    return std::any_of(plan.begin(), plan.end(), [&](const faults::Fault& one) {
      return one.kind == fault.kind && one.node == fault.node && one.value == fault.value &&
             one.at <= after && one.at + one.length > after;
    });
  };
  for (faults::Fault fault : other.by->plan->faults) {
    if (fault.at > other.at || fault.at + fault.length + kMoment < other.at || there(fault)) continue;
    if (more.size() == kSplicedMost) break;
    Duration end = fault.at + fault.length + shift;
    fault.at = std::max(fault.at + shift, after + Duration::microseconds(1));
    fault.at = Duration::microseconds(fault.at.to_microseconds());
    if (fault.at >= length_) continue;
    fault.length = std::clamp(end - fault.at, Duration(), length_ - fault.at);
    fault.length = Duration::microseconds(fault.length.to_microseconds());
    more.push_back(std::move(fault));
  }
  plan.insert(plan.end(), more.begin(), more.end());
}

// Faults as plain seeds have them, but of every kind alike, and rather sooner than later; sometimes all of
// one kind.
void Guide::add(std::vector<faults::Fault>& plan, Duration after, const Scenario& scenario) {
  if (scenario.faults.empty()) return;
  auto any_kind = [&] {
    auto at = static_cast<std::ptrdiff_t>(random_.below(scenario.faults.size()));
    return std::next(scenario.faults.begin(), at);
  };
  auto left = static_cast<uint64_t>((length_ - after).to_microseconds());
  auto kind = any_kind();
  bool same = random_.below(4) == 0;
  for (uint64_t i = random_.log_uniform(1, kAddedMost); i > 0; i--) {
    if (!same) kind = any_kind();
    faults::Fault fault = kind->second[random_.below(kind->second.size())];
    uint64_t delay = random_.log_uniform(100, std::max<uint64_t>(left, 101));
    fault.at = Duration::microseconds(after.to_microseconds() + static_cast<int64_t>(delay) + 1);
    if (fault.at >= length_) continue;
    fault.length = std::min(fault.length, length_ - fault.at);
    plan.push_back(std::move(fault));
  }
}

}  // namespace argon::sim
