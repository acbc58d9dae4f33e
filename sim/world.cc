#include "sim/world.h"

#include <algorithm>
#include <cstdio>
#include <typeinfo>

#include "core/env/points.h"
#include "sim/machine.h"
#include "sim/net.h"

namespace argon::sim {

// What a stack may take counts against what a run may have, used or not, and a run has hundreds of them: of
// each some 16 KiB are used, 40 in the worst case seen. Sanitizers make frames larger, and runs under them
// have no limit.
#if defined(ARGON_ASAN) || defined(ARGON_TSAN)
constexpr size_t kStackSize = fiber::kDefaultStackSize;
#else
constexpr size_t kStackSize = fiber::kDefaultStackSize / 2;
#endif

// A closure with a time. Kept by the world until it has fired.
struct World::Alarm final : public Timer {
  Alarm(World& w, std::function<void()> a) : world(w), act(std::move(a)) {}
  void fire() override {
    auto taken = std::move(act);
    taken();
  }
  World& world;
  std::function<void()> act;
};

WorldOptions WorldOptions::drawn(uint64_t seed) {
  WorldOptions o;
  o.seed = seed;
  Random random = Random(seed).fork("world options");
  constexpr Schedule kSchedules[] = {Schedule::Fifo, Schedule::Priorities, Schedule::Pct, Schedule::Random,
                                     Schedule::Random};
  o.schedule = kSchedules[random.below(std::size(kSchedules))];
  o.pct_depth = random.between(2, 5);
  o.run_cost = Duration::nanoseconds(static_cast<int64_t>(random.log_uniform(50, 4000)));
  o.priority_change = Duration::microseconds(static_cast<int64_t>(random.log_uniform(200, 1'000'000)));
  o.net.latency_min = Duration::microseconds(static_cast<int64_t>(random.log_uniform(5, 500)));
  o.net.latency_mean = Duration::microseconds(static_cast<int64_t>(random.log_uniform(5, 2000)));
  o.net.capacity = random.log_uniform(16 * 1024, 1024 * 1024);
  o.disk.read = Duration::microseconds(static_cast<int64_t>(random.log_uniform(2, 200)));
  o.disk.write = Duration::microseconds(static_cast<int64_t>(random.log_uniform(2, 100)));
  o.disk.sync = Duration::microseconds(static_cast<int64_t>(random.log_uniform(50, 8000)));
  o.buggify = random.below(2) == 0;
  return o;
}

World::World(WorldOptions options)
    : options_(options),
      root_(options.seed),
      schedule_(root_.fork("schedule")),
      log_(options.keep_events),
      stacks_(kStackSize),
      net_(std::make_unique<Net>(*this)),
      probes_(kProbeCount),
      rare_branches_(kRareBranchCount) {
  CHECK(options_.run_cost.ns > 0);
  priority_change_ = schedule_.exponential(options_.priority_change).ns;
  runs_to_change_ = 1 + schedule_.below(2000);
  for (const NamedPoint& branch : kRareBranches) {
    Random random = root_.fork("buggify").fork(branch.name);
    bool active = random.below(4) == 0;
    buggify_sites_.push_back({active, random});
  }
}

World::~World() {
  for (auto& machine : machines_) machine->power_loss();
}

Machine& World::add_machine(std::string name) {
  CHECK(find_machine(name) == nullptr, name);
  machines_.push_back(
      std::make_unique<Machine>(*this, static_cast<uint16_t>(machines_.size() + 1), std::move(name)));
  due_.push_back(INT64_MAX);
  return *machines_.back();
}

Machine* World::find_machine(std::string_view name) {
  for (auto& machine : machines_)
    if (machine->name() == name) return machine.get();
  return nullptr;
}

void World::at(Duration time, std::function<void()> act) {
  // Fired alarms are dropped here, so that none dies while it fires.
  if (alarms_.size() > alarms_looked_at_) {
    std::erase_if(alarms_, [](const auto& a) { return !a->armed() && a->act == nullptr; });
    alarms_looked_at_ = alarms_.size() * 2 + 64;
  }
  alarms_.push_back(std::make_unique<Alarm>(*this, std::move(act)));
  arm(*alarms_.back(), std::max(time.ns, now_));
}

void World::at_event(uint64_t count, std::function<void()> act) {
  at_events_.emplace(count, std::move(act));
  next_at_event_ = at_events_.begin()->first;
}

void World::reseed(uint64_t salt) {
  std::string name = "reseed " + std::to_string(salt);
  auto anew = [&](Random& random) { random = random.fork(name); };
  anew(root_);
  anew(schedule_);
  anew(net_->random_);
  for (auto& machine : machines_) {
    anew(machine->random_);
    if (machine->env_ == nullptr) continue;
    anew(machine->env_->seed_);
    for (auto& [stream, random] : machine->env_->streams_) anew(*random);
    anew(machine->env_->disk_.random_);
  }
  for (BuggifySite& site : buggify_sites_) anew(site.random);
}

void World::arm(Timer& timer, int64_t due) {
  note_armed(timer);
  timers_.arm(timer, {due});
  note_due(0, due);
}

void World::post(SimEnv& env, Runnable& task) {
  uint64_t key = 0;
  if (schedule() == Schedule::Priorities || schedule() == Schedule::Pct) {
    uint64_t parts[2] = {env.machine().index(), 0};
    if (typeid(task) == typeid(fiber::Fiber)) parts[1] = static_cast<fiber::Fiber&>(task).name_hash();
    key = hash64({reinterpret_cast<const uint8_t*>(parts), sizeof parts});
  }
  ready_.push_back({&env, &task, key, cause_});
}

void World::drop_ready(const SimEnv& env) {
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(ready_head_));
  ready_head_ = 0;
  std::erase_if(ready_, [&](const Ready& r) { return r.env == &env; });
}

int64_t World::next_due_of(size_t owner) const {
  if (owner == 0) return timers_.empty() ? INT64_MAX : timers_.next_due().ns;
  const Machine& machine = *machines_[owner - 1];
  if (machine.env_ == nullptr || machine.env_->timers_.empty()) return INT64_MAX;
  return std::max(machine.env_->timers_.next_due().ns - machine.monotonic_offset_, machine.stalled_until_);
}

// When the earliest timer is due, INT64_MAX where there is none.
int64_t World::next_due() {
  for (;;) {
    auto earliest = std::min_element(due_.begin(), due_.end());
    int64_t due = next_due_of(static_cast<size_t>(earliest - due_.begin()));
    if (due == *earliest) return due;
    *earliest = due;  // a timer was disarmed
  }
}

void World::fire(TimerHeap& heap) {
  Timer& timer = heap.pop();
  if (log_.keeps_events()) {
    cause_ = armed_by_[&timer];
    cause_.by_timer = 1;
  }
  timer.fire();
}

// Fires what is due by now, the world's own first. False where nothing was.
bool World::fire_due() {
  if (next_due_ > now_) return false;
  bool fired = false;
  auto fire_all = [&](TimerHeap& heap, int64_t now) {
    while (!heap.empty() && heap.next_due().ns <= now) {
      fire(heap);
      fired = true;
    }
  };
  for (size_t owner = 0; owner < due_.size(); owner++) {
    if (due_[owner] > now_) continue;
    if (owner == 0) {
      fire_all(timers_, now_);
    } else if (Machine& machine = *machines_[owner - 1];
               machine.env_ != nullptr && machine.stalled_until_ <= now_) {
      fire_all(machine.env_->timers_, now_ + machine.monotonic_offset_);
    }
    due_[owner] = next_due_of(owner);
  }
  next_due_ = *std::min_element(due_.begin(), due_.end());
  return fired;
}

Schedule World::schedule() const {
  if (faults.on(faults::Kind::SchedulePct)) return Schedule::Pct;
  return faults.on(faults::Kind::ScheduleFifo) ? Schedule::Fifo : options_.schedule;
}

uint64_t World::pick_priority(const Ready& ready) const {
  if (schedule() == Schedule::Pct)
    if (auto demoted = demoted_.find(ready.key); demoted != demoted_.end()) return demoted->second;
  uint64_t parts[2] = {priority_epoch_, ready.key};
  return hash64({reinterpret_cast<const uint8_t*>(parts), sizeof parts}) | 1ull << 63;
}

// A change point of PCT: who would run next comes last from now on.
void World::change_priority(size_t pick) {
  uint64_t depth = options_.pct_depth;
  if (faults.on(faults::Kind::SchedulePct))
    depth = static_cast<uint64_t>(std::clamp<int64_t>(faults.value(faults::Kind::SchedulePct), 2, 100));
  runs_to_change_ = 1 + schedule_.below(2000);
  if (demoted_.size() + 1 < depth) {
    demoted_.emplace(ready_[pick].key, depth - demoted_.size());
    return;
  }
  demoted_.clear();
  priority_epoch_++;
}

// Which of the ready tasks runs next: an index into ready_.
size_t World::pick_ready() {
  size_t pick = ready_head_;
  Schedule how = schedule();
  if (ready_count() < 2 || how == Schedule::Fifo) return pick;
  if (how == Schedule::Random) return pick + schedule_.below(ready_count());
  if (how == Schedule::Priorities && now_ >= priority_change_) {
    priority_epoch_++;
    priority_change_ = now_ + schedule_.exponential(options_.priority_change).ns;
  }
  // Now and then the longest waiting one runs, so that no task waits for ever.
  if (schedule_.below(how == Schedule::Pct ? 64 : 16) == 0) return pick;
  uint64_t highest = pick_priority(ready_[pick]);
  for (size_t i = pick + 1; i < ready_.size(); i++) {
    uint64_t priority = pick_priority(ready_[i]);
    if (priority <= highest) continue;
    highest = priority;
    pick = i;
  }
  if (how == Schedule::Pct && --runs_to_change_ == 0) change_priority(pick);
  return pick;
}

// How often a schedule of the plan made a difference.
void World::count_schedule(size_t pick) {
  if (ready_count() < 2 || schedule() == options_.schedule) return;
  if (schedule() == Schedule::Pct && pick != ready_head_) counters.add(faults::Kind::SchedulePct);
  if (schedule() == Schedule::Fifo) counters.add(faults::Kind::ScheduleFifo);
}

World::Ready World::take_ready(size_t pick) {
  Ready chosen = ready_[pick];
  if (schedule() == Schedule::Random) {
    ready_[pick] = ready_.back();
    ready_.pop_back();
  } else if (pick == ready_head_) {
    ready_head_++;
  } else {
    ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(pick));
  }
  if (ready_head_ == ready_.size()) {
    ready_.clear();
    ready_head_ = 0;
  } else if (ready_head_ == 256) {
    ready_.erase(ready_.begin(), ready_.begin() + 256);
    ready_head_ = 0;
  }
  return chosen;
}

void World::run_one() {
  size_t pick = pick_ready();
  count_schedule(pick);
  Ready chosen = take_ready(pick);
  Machine& machine = chosen.env->machine();
  if (machine.stalled_until_ > now_) {
    machine.parked_.emplace_back(chosen.task, chosen.env);
    return;
  }
  uint64_t name = 0;
  if (typeid(*chosen.task) == typeid(fiber::Fiber)) {
    const auto* fiber = static_cast<const fiber::Fiber*>(chosen.task);
    name = fiber->name_hash();
    if (log_.keeps_events()) log_.name(name, fiber->name());
  }
  cause_ = chosen.cause;
  record_cause(EventKind::Run, machine.index(), static_cast<uint32_t>(ready_count()), name);
  chosen.task->run();
  now_ += options_.run_cost.ns;
  if (chosen.env->runtime_.idle()) machine.process_ended();
  machine.after_run(chosen.env);
}

void World::run_for(Duration time) {
  run_until([] { return false; }, time);
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  int64_t end = now_ + limit.ns;
  stopped_ = false;
  cause_ = {};
  for (;;) {
    if (log_.count() >= next_at_event_) [[unlikely]]
      run_at_events();
    if (done()) return true;
    if (stopped_ || now_ >= end) return false;
    fire_due();
    if (ready_count() > 0) {
      run_one();
      continue;
    }
    next_due_ = next_due();
    if (next_due_ <= now_) continue;
    now_ = std::min(next_due_, end);
  }
}

void World::run_at_events() {
  while (!at_events_.empty() && at_events_.begin()->first <= log_.count()) {
    auto first = at_events_.extract(at_events_.begin());
    first.mapped()();
  }
  next_at_event_ = at_events_.empty() ? UINT64_MAX : at_events_.begin()->first;
}

Status World::run(Machine& machine, std::function<Status(Task&)> body, Duration limit) {
  std::optional<Status> result;
  machine.spawn("run", [&result, body = std::move(body)](Task& task) {
    result = body(task);
    return Status();
  });
  uint32_t boots = machine.boots();
  run_until([&] { return result.has_value() || !machine.up() || machine.boots() != boots; }, limit);
  if (result.has_value()) return *result;
  bool died = !machine.up() || machine.boots() != boots;
  // The body refers to this frame: nothing of it may go on.
  if (!died) machine.power_loss();
  if (died) return Error(Code::Disconnected, machine.name() + " went down");
  return Error(Code::TimedOut, "not done within the limit of virtual time");
}

void World::write_log(const Machine& machine, LogLevel level, std::string_view context,
                      std::string_view message) {
  std::string line =
      fmt::format("{:>6}.{:06} {:<12} {:<5} {}{}{}", now_ / 1'000'000'000, now_ / 1000 % 1'000'000,
                  machine.name(), to_string(level), context, context.empty() ? "" : ": ", message);
  if (options_.echo_log) std::fprintf(stderr, "%s\n", line.c_str());
  if (traced())
    remark(machine.index(), "log",
           fmt::format("{} {}{}{}", to_string(level), context, context.empty() ? "" : ": ", message));
  log_lines_.push_back(std::move(line));
  if (log_lines_.size() > options_.log_lines) log_lines_.pop_front();
}

// A site is active in a quarter of the runs, and then taken once in sixteen.
bool World::buggify(RareBranch branch) {
  if (!options_.buggify) return false;
  auto index = static_cast<size_t>(branch);
  BuggifySite& site = buggify_sites_[index];
  if (!site.active || site.random.below(16) != 0) return false;
  rare_branches_[index]++;
  if (traced()) remark(0, "buggify", std::string(info(branch).name));
  return true;
}

}  // namespace argon::sim
