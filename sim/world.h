// World: a made-up world, drawn from one seed. Virtual clock, schedule, machines, network, faults.
//
// One loop runs everything: due timers fire, then one of the ready tasks runs (which one is drawn),
// and each run moves the clock on by a little; when nothing is ready the clock jumps to the next
// timer. Nothing reads a real clock. The same seed gives the same events, and so the same hash.
//
// The caller drives it from outside (run_for, run_until), never from inside a task.

#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/env/env.h"
#include "core/env/timer_heap.h"
#include "core/fiber/context.h"
#include "faults/kind.h"
#include "sim/coverage.h"
#include "sim/event_log.h"

namespace argon::sim {

class Machine;
class Net;
class SimEnv;

// Priorities: drawn for each task, all of them anew at drawn times. Pct: drawn once, then at depth - 1 drawn
// points the task that would run next gets the lowest of all (Burckhardt et al., ASPLOS 2010); begins again
// after the last.
enum class Schedule : uint8_t { Fifo, Random, Priorities, Pct };

struct NetConfig {
  Duration latency_min = Duration::microseconds(40);
  Duration latency_mean = Duration::microseconds(120);  // added, exponential
  Duration latency_tail = Duration::milliseconds(800);  // the most that a tail adds
  uint64_t capacity = 256 * 1024;                       // bytes under way or unread, each direction
};

struct DiskConfig {
  Duration read = Duration::microseconds(30);  // means, exponential
  Duration write = Duration::microseconds(15);
  Duration sync = Duration::microseconds(700);
  Duration name = Duration::microseconds(20);
  uint64_t capacity = 8ull << 30;  // bytes
};

struct WorldOptions {
  uint64_t seed = 1;
  Schedule schedule = Schedule::Random;
  Duration run_cost = Duration::nanoseconds(200);         // virtual time of one run of a task; not 0
  uint64_t pct_depth = 3;                                 // 2 or more
  Duration priority_change = Duration::milliseconds(50);  // mean time between changes of priorities
  NetConfig net;
  DiskConfig disk;
  bool buggify = false;      // rare branches of the product code are taken now and then
  bool keep_events = false;  // for comparing runs
  LogLevel log_level = LogLevel::Info;
  size_t log_lines = 400;  // the latest are kept
  bool echo_log = false;   // also to standard error

  // Schedule, latencies, sizes and rare branches as the seed says.
  static WorldOptions drawn(uint64_t seed);
};

// Which faults are in force somewhere. They nest: a kind is on while any fault of it lasts.
class FaultState {
 public:
  void begin(faults::Kind kind, int64_t value) {
    Active& a = active_[static_cast<size_t>(kind)];
    a.count++;
    a.value = value;
  }
  void end(faults::Kind kind) {
    Active& a = active_[static_cast<size_t>(kind)];
    if (a.count > 0) a.count--;
  }
  bool on(faults::Kind kind) const { return active_[static_cast<size_t>(kind)].count > 0; }
  int64_t value(faults::Kind kind) const { return active_[static_cast<size_t>(kind)].value; }
  // Does this one of "one in `value`" fail? Draws only while the kind is on.
  bool strikes(faults::Kind kind, Random& random) const {
    if (!on(kind)) return false;
    int64_t one_in = value(kind);
    return one_in <= 1 || random.below(static_cast<uint64_t>(one_in)) == 0;
  }

 private:
  struct Active {
    uint32_t count = 0;
    int64_t value = 0;
  };
  std::array<Active, faults::kKinds> active_{};
};

class World {
 public:
  explicit World(WorldOptions options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // A machine that is off. Its name is its host name. The world owns it.
  Machine& add_machine(std::string name);
  Machine* find_machine(std::string_view name);
  const std::vector<std::unique_ptr<Machine>>& machines() const { return machines_; }

  // Virtual time since the world began.
  Duration now() const { return {now_}; }
  void run_for(Duration time);
  // Until done() (asked after every event), or the limit has passed. True where done.
  bool run_until(const std::function<bool()>& done, Duration limit);
  // Runs body on the machine (which is up) to its end. TimedOut after `limit`.
  Status run(Machine& machine, std::function<Status(Task&)> body, Duration limit = Duration::seconds(3600));
  // Calls act at that time, from outside all tasks.
  void at(Duration time, std::function<void()> act);
  void after(Duration delay, std::function<void()> act) { at(now() + delay, std::move(act)); }
  // Ends run_for and run_until after the present event.
  void stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }

  // Calls act once, when so many events have happened; nothing else changes. From outside of all tasks.
  void at_event(uint64_t count, std::function<void()> act);
  // From here on chance is another: every stream of the world goes on as the salt says. What was drawn stays.
  void reseed(uint64_t salt);

  // An independent generator of the seed, for the scenario's own use.
  Random stream(std::string_view name) const { return root_.fork(name); }
  const WorldOptions& options() const { return options_; }
  Net& net() { return *net_; }
  EventLog& log() { return log_; }
  Hash128 hash() const { return log_.hash(); }
  // The event's number. What is recorded until the next begins has the same cause.
  uint64_t record(EventKind kind, uint16_t node, uint32_t a, uint64_t b, uint32_t size = 0) {
    return log_.add({now_, b, a, kind, node}, cause_, size);
  }
  // As record(); what follows is because of this event.
  uint64_t record_cause(EventKind kind, uint16_t node, uint32_t a, uint64_t b) {
    uint64_t event = record(kind, node, a, b);
    cause_ = {static_cast<uint32_t>(event), 0};
    return event;
  }
  // For people who read a trace; no event. Costs nothing where events are not kept.
  bool traced() const { return log_.keeps_events(); }
  void remark(uint16_t node, std::string_view kind, std::string text) {
    log_.remark(node, now_, kind, std::move(text));
  }

  // Faults: those of the whole world, and what they did.
  FaultState faults;
  faults::Counters counters;

  // The latest log lines, oldest first.
  const std::deque<std::string>& log_lines() const { return log_lines_; }
  // How often each rare path was hit, and each rare branch taken; in the order of core/env/points.h.
  const std::vector<uint64_t>& probes() const { return probes_; }
  const std::vector<uint64_t>& rare_branches() const { return rare_branches_; }
  const Coverage& coverage() const { return coverage_; }
  // Called at each durable_claim, from inside the claiming task; must not suspend.
  std::function<void(std::string_view key, uint64_t value)> on_claim;
  // What was last claimed to be durable, by key.
  struct KeyHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Claims = std::unordered_map<std::string, uint64_t, KeyHash, std::equal_to<>>;
  const Claims& durable_claims() const { return claims_; }
  // Whose disk was emptied promises nothing any more: forgets the claims whose keys begin so.
  void forget_claims(std::string_view prefix) {
    std::erase_if(claims_, [&](const auto& claim) { return claim.first.starts_with(prefix); });
  }

 private:
  friend class SimEnv;
  friend class Machine;
  friend class Net;
  friend struct Pipe;
  friend struct Connection;
  struct Ready {
    SimEnv* env;
    Runnable* task;
    uint64_t key;  // of the task, over its lives: what its priority is drawn from
    Cause cause;
  };
  struct Alarm;
  struct BuggifySite {
    bool active;
    Random random;
  };

  void run_at_events();
  bool fire_due();
  int64_t next_due();
  int64_t next_due_of(size_t owner) const;
  // No timer of the owner (0: the world; else the machine's index) is due before the earlier of this and what
  // was.
  void note_due(size_t owner, int64_t due) {
    due_[owner] = std::min(due_[owner], due);
    next_due_ = std::min(next_due_, due);
  }
  void run_one();
  Schedule schedule() const;
  size_t pick_ready();
  uint64_t pick_priority(const Ready& ready) const;
  void change_priority(size_t pick);
  void count_schedule(size_t pick);
  Ready take_ready(size_t pick);
  size_t ready_count() const { return ready_.size() - ready_head_; }
  void drop_ready(const SimEnv& env);
  void post(SimEnv& env, Runnable& task);
  void arm(Timer& timer, int64_t due);
  void fire(TimerHeap& heap);
  void note_armed(const Timer& timer) {
    if (log_.keeps_events()) armed_by_[&timer] = cause_;
  }
  void write_log(const Machine& machine, LogLevel level, std::string_view context, std::string_view message);
  bool buggify(RareBranch branch);

  WorldOptions options_;
  Random root_;
  Random schedule_;
  int64_t now_ = 0;
  int64_t next_due_ = INT64_MAX;            // no timer is due before
  std::vector<int64_t> due_ = {INT64_MAX};  // the same of each owner
  uint64_t priority_epoch_ = 0;
  std::map<uint64_t, uint64_t> demoted_;  // under Pct: priority by task key, lower than all others
  uint64_t runs_to_change_ = 0;           // under Pct
  int64_t priority_change_ = 0;
  bool stopped_ = false;
  EventLog log_;
  Cause cause_;                             // of what happens now
  std::map<const Timer*, Cause> armed_by_;  // where events are kept; looked up only
  std::multimap<uint64_t, std::function<void()>> at_events_;
  uint64_t next_at_event_ = UINT64_MAX;
  TimerHeap timers_;          // of the world itself: deliveries, alarms
  std::vector<Ready> ready_;  // from ready_head_ on; in order of becoming ready unless the schedule is random
  size_t ready_head_ = 0;
  std::vector<std::unique_ptr<Alarm>> alarms_;
  size_t alarms_looked_at_ = 64;  // fired ones are dropped when there are more
  fiber::StackPool stacks_;       // of all machines: their processes come and go
  std::vector<std::unique_ptr<Machine>> machines_;
  std::unique_ptr<Net> net_;
  std::deque<std::string> log_lines_;
  std::vector<uint64_t> probes_;
  std::vector<uint64_t> rare_branches_;
  Coverage coverage_;
  std::vector<BuggifySite> buggify_sites_;
  Claims claims_;
};

}  // namespace argon::sim
