#include "sim/machine.h"

#include "core/env/points.h"

namespace argon::sim {
namespace {

constexpr int64_t kEpoch = 1'767'225'600'000'000'000;  // 2026-01-01 UTC, when every world begins

}  // namespace

SimEnv::SimEnv(World& world, Machine& machine, uint32_t incarnation)
    : world_(world),
      machine_(machine),
      incarnation_(incarnation),
      seed_(machine.random_.fork(std::to_string(incarnation))),
      network_(*this),
      disk_(*this),
      runtime_(*this, world.stacks_) {}

SimEnv::~SimEnv() = default;

MonotonicTime SimEnv::now() const {
  return {world_.now().ns + machine_.monotonic_offset_};
}

WallTime SimEnv::wall_now() {
  using faults::Kind;
  int64_t time = machine_.wall_ns();
  if (machine_.faults.on(Kind::WallClockOffset)) {
    time += machine_.faults.value(Kind::WallClockOffset) * 1'000'000;
    world_.counters.add(Kind::WallClockOffset);
  }
  if (machine_.faults.on(Kind::WallClockDrift)) world_.counters.add(Kind::WallClockDrift);
  if (machine_.faults.on(Kind::WallClockFrozen)) {
    time = machine_.frozen_at_;
    world_.counters.add(Kind::WallClockFrozen);
  }
  return {time};
}

void SimEnv::post(Runnable& r) {
  if (!dead_) world_.post(*this, r);
}

void SimEnv::arm(Timer& timer, MonotonicTime due) {
  if (dead_) return;
  if (machine_.faults.on(faults::Kind::LateTimers)) {
    int64_t most = std::max<int64_t>(machine_.faults.value(faults::Kind::LateTimers), 1) * 1'000'000;
    due.ns += static_cast<int64_t>(machine_.random_.below(static_cast<uint64_t>(most)));
    world_.counters.add(faults::Kind::LateTimers);
  }
  timers_.arm(timer, due);
  world_.note_armed(timer);
  world_.note_due(machine_.index_, due.ns - machine_.monotonic_offset_);
}

Random& SimEnv::random(std::string_view stream) {
  auto found = streams_.find(stream);
  if (found == streams_.end())
    found = streams_.emplace(std::string(stream), std::make_unique<Random>(seed_.fork(stream))).first;
  return *found->second;
}

void SimEnv::offload(Task& task, const std::function<void()>& work) {
  work();
  Shield shield(task);
  // A deadline that passes meanwhile does not undo the work.
  ignore_result(task.sleep(random("world.offload").exponential(Duration::microseconds(50))));
}

void SimEnv::probe(Probe probe) {
  if (dead_) return;
  world_.probes_[static_cast<size_t>(probe)]++;
  world_.coverage_.hit(static_cast<size_t>(probe), world_.now(), world_.log_.count(), world_.counters);
  if (world_.traced()) world_.remark(machine_.index(), "probe", std::string(info(probe).name));
}

void SimEnv::durable_claim(std::string_view key, uint64_t value) {
  if (dead_) return;
  auto found = world_.claims_.find(key);
  if (found == world_.claims_.end()) found = world_.claims_.emplace(std::string(key), 0).first;
  found->second = value;
  if (world_.on_claim) world_.on_claim(key, value);
  if (world_.traced())
    world_.remark(machine_.index(), "claim", std::string(key) + "=" + std::to_string(value));
}

bool SimEnv::enabled(LogLevel level) const {
  return !dead_ && level >= world_.options().log_level;
}

void SimEnv::write(LogLevel level, std::string_view context, std::string_view message) {
  world_.write_log(machine_, level, context, message);
}

Machine::Machine(World& world, uint16_t index, std::string name)
    : world_(world), index_(index), name_(std::move(name)), random_(world.stream("machine:" + name_)) {
  monotonic_offset_ = static_cast<int64_t>(random_.below(3'600'000'000'000));
}

Machine::~Machine() {
  power_loss();
}

void Machine::boot(Main main) {
  main_ = std::move(main);
  start();
}

void Machine::restart() {
  start();
}

void Machine::start() {
  CHECK(!up(), name_ + " is up already");
  CHECK(main_ != nullptr, name_ + " was never booted");
  env_.reset();
  exited_ = false;
  powered_ = true;
  exit_status_.reset();
  boots_++;
  env_ = std::make_unique<SimEnv>(world_, *this, boots_);
  Cause before = world_.cause_;
  world_.record_cause(EventKind::Boot, index_, boots_, 0);
  env_->runtime().root().spawn(name_, [this, main = main_](Task& task) {
    Status ended = main(task, task.env());
    exit_status_ = ended;
    return Status();
  });
  world_.cause_ = before;
}

void Machine::spawn(std::string name, std::function<Status(Task&)> body) {
  CHECK(up(), name_ + " is down");
  env_->runtime().root().spawn(std::move(name), std::move(body));
}

void Machine::process_ended() {
  exited_ = true;
  bool failed = exit_status_.has_value() && !exit_status_->ok();
  world_.record(EventKind::Exit, index_, failed ? 1 : 0, 0);
  if (failed) world_.write_log(*this, LogLevel::Error, "exit", exit_status_->error().to_string());
  forget_dropped();
  if (!failed || !restart_delay_.has_value()) return;
  world_.after(*restart_delay_, [this, incarnation = boots_] {
    if (exited_ && boots_ == incarnation && restart_delay_.has_value()) start();
  });
}

// Clean pages may be forgotten at any time, and with them what never reached the medium: before the next
// process looks, or some time after it has.
void Machine::forget_dropped() {
  using faults::Kind;
  if (!faults.on(Kind::DroppedPagesLinger)) {
    storage_.forget_dropped();
    return;
  }
  if (!storage_.holds_dropped()) return;
  world_.counters.add(Kind::DroppedPagesLinger);
  Duration later = random_.between(Duration::milliseconds(1), Duration::seconds(30));
  world_.after(later, [this] { storage_.forget_dropped(); });
}

int64_t Machine::wall_ns() const {
  int64_t gained = (world_.now().ns - drift_began_) / 1'000 * drift_ / 1'000;
  return kEpoch + world_.now().ns + wall_offset_ns_ + gained;
}

void Machine::drift_wall_clock(int64_t millionths) {
  wall_offset_ns_ = wall_ns() - kEpoch - world_.now().ns;
  drift_ = millionths;
  drift_began_ = world_.now().ns;
}

void Machine::after_run(const SimEnv* env) {
  using faults::Kind;
  if (env_.get() != env) return;
  if (faults.on(Kind::SlowNode)) {
    stall_until(world_.now() + Duration::microseconds(std::max<int64_t>(faults.value(Kind::SlowNode), 1)));
    world_.counters.add(Kind::SlowNode);
  }
  if (runs_left_ > 0 && --runs_left_ == 0) {
    world_.counters.add(Kind::OutOfMemory);
    kill();
  }
}

// What ran here is no more: its tasks are forgotten, then they unwind.
void Machine::drop_process(bool tell_peers) {
  world_.net().process_gone(*this, tell_peers);
  env_->dead_ = true;
  world_.drop_ready(*env_);
  parked_.clear();
  while (!env_->timers_.empty()) env_->timers_.pop();
  env_->runtime().kill();
  env_.reset();
  exit_status_.reset();
  exited_ = false;
  stalled_until_ = 0;
  runs_left_ = 0;
}

void Machine::kill() {
  if (!up()) return;
  world_.record_cause(EventKind::Kill, index_, boots_, 0);
  drop_process(true);
  forget_dropped();
}

void Machine::ask_to_stop() {
  if (up()) env_->runtime().root().cancel();
}

void Machine::power_loss() {
  if (!powered_) return;
  using faults::Kind;
  powered_ = false;
  world_.record_cause(EventKind::PowerLoss, index_, boots_, 0);
  if (env_ != nullptr) drop_process(!faults.on(Kind::HalfOpen));
  exit_status_.reset();
  exited_ = false;
  stalled_until_ = 0;
  CrashRules rules{faults.on(Kind::UnsyncedDataLost), faults.on(Kind::TornSectors),
                   faults.on(Kind::UnsyncedNamesLost)};
  if (rules.tear_sectors)
    rules.sector =
        static_cast<size_t>(std::clamp<int64_t>(faults.value(Kind::TornSectors), kSectorSize, kPageSize));
  CrashLoss loss = storage_.crash(random_, rules);
  world_.counters.add(Kind::UnsyncedDataLost, loss.files);
  world_.counters.add(Kind::TornSectors, loss.torn_files);
  world_.counters.add(Kind::UnsyncedNamesLost, loss.names);
  world_.record(EventKind::DiskCrash, index_, loss.sectors, loss.names);
}

void Machine::stall_until(Duration time) {
  stalled_until_ = std::max(stalled_until_, time.ns);
  world_.at(time, [this] {
    if (!stalled()) post_parked();
  });
}

void Machine::end_stall() {
  stalled_until_ = 0;
  world_.note_due(index_, world_.now_);
  post_parked();
}

void Machine::post_parked() {
  for (auto [task, env] : parked_) world_.post(*env, *task);
  parked_.clear();
}

}  // namespace argon::sim
