// Machine: one simulated computer with its disk and clock; and SimEnv: the Env of the one process
// that runs on it, from a boot to power loss or exit.
//
// Power loss: everything but the disk is gone, and of the disk what was not synced may be. An exit
// (main returned) leaves the operating system running: nothing of the disk is lost.

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/fiber/runtime.h"
#include "sim/net.h"
#include "sim/sim_disk.h"
#include "sim/storage.h"
#include "sim/world.h"

namespace argon::sim {

using Main = std::function<Status(Task&, Env&)>;

class SimEnv final : public Env, private Reactor, private LogSink {
 public:
  SimEnv(World& world, Machine& machine, uint32_t incarnation);
  ~SimEnv();

  Reactor& reactor() override { return *this; }
  Network& network() override { return network_; }
  Disk& disk() override { return disk_; }
  Processes* processes() override { return nullptr; }
  LogSink& log() override { return *this; }
  WallTime wall_now() override;
  Random& random(std::string_view stream) override;
  void secure_random(ByteSpan out) override { random("env.secure").fill(out); }
  void offload(Task& task, const std::function<void()>& work) override;
  bool buggify(RareBranch branch) override { return !dead_ && world_.buggify(branch); }
  void probe(Probe probe) override;
  void durable_claim(std::string_view key, uint64_t value) override;

  World& world() { return world_; }
  Machine& machine() { return machine_; }
  fiber::Runtime& runtime() { return runtime_; }
  bool dead() const { return dead_; }

 private:
  friend class Machine;
  friend class World;

  MonotonicTime now() const override;
  void post(Runnable& r) override;
  void arm(Timer& timer, MonotonicTime due) override;
  void disarm(Timer& timer) override { timers_.disarm(timer); }
  bool enabled(LogLevel level) const override;
  void write(LogLevel level, std::string_view context, std::string_view message) override;

  World& world_;
  Machine& machine_;
  uint32_t incarnation_;
  bool dead_ = false;
  Random seed_;
  TimerHeap timers_;
  std::map<std::string, std::unique_ptr<Random>, std::less<>> streams_;
  NodeNetwork network_;
  SimDisk disk_;
  fiber::Runtime runtime_;
};

class Machine {
 public:
  Machine(World& world, uint16_t index, std::string name);
  ~Machine();

  const std::string& name() const { return name_; }
  uint16_t index() const { return index_; }  // from 1
  World& world() { return world_; }

  // Starts a process; restart() starts the same again. REQUIRES: not up.
  void boot(Main main);
  void restart();
  bool up() const { return env_ != nullptr && !exited_; }
  // Off: no operating system answers. (After an exit, it refuses connections.)
  bool powered() const { return powered_; }
  // From outside of tasks. No effect where it is off already.
  void power_loss();
  // The process dies where it stands; the operating system goes on: nothing on the disk is lost. No effect
  // where no process runs.
  void kill();
  // The same once so many more of its tasks have run.
  void kill_after(uint64_t runs) { runs_left_ = runs; }
  // Asks the process to stop, in order.
  void ask_to_stop();
  // How main ended; nothing while it runs or after power loss.
  const std::optional<Status>& exit_status() const { return exit_status_; }
  // Where main ends with an error, start it again so much later (as systemd does).
  void supervise(Duration delay) { restart_delay_ = delay; }
  // No more; a restart that is due is called off.
  void end_supervision() { restart_delay_.reset(); }
  // Another task in the process. REQUIRES: up.
  void spawn(std::string name, std::function<Status(Task&)> body);
  // Nothing of it runs until then; its timers wait.
  void stall_until(Duration time);
  void end_stall();
  bool stalled() const { return stalled_until_ > world_.now().ns; }
  void step_wall_clock(Duration by) { wall_offset_ns_ += by.ns; }
  // What its wall clock says, without what is wrong for a time only.
  int64_t wall_ns() const;
  // The clock is so many millionths too fast from now on; what it gained so far stays. 0 ends it.
  void drift_wall_clock(int64_t millionths);
  void freeze_wall_clock() { frozen_at_ = wall_ns(); }
  // No fault that hits several nodes at once hits this one.
  void spare() { spared_ = true; }
  bool spared() const { return spared_; }

  // REQUIRES: up().
  SimEnv& env() { return *env_; }
  Storage& storage() { return storage_; }
  const Storage& storage() const { return storage_; }
  uint32_t boots() const { return boots_; }

  FaultState faults;

 private:
  friend class SimEnv;
  friend class World;
  void start();
  void process_ended();
  void post_parked();
  void drop_process(bool tell_peers);
  void forget_dropped();
  void after_run(const SimEnv* env);

  World& world_;
  uint16_t index_;
  std::string name_;
  Random random_;
  int64_t monotonic_offset_;
  int64_t wall_offset_ns_ = 0;
  int64_t drift_ = 0;  // millionths, since drift_began_
  int64_t drift_began_ = 0;
  int64_t frozen_at_ = 0;
  uint64_t runs_left_ = 0;  // until it is killed; 0: it is not
  bool spared_ = false;
  int64_t stalled_until_ = 0;
  bool powered_ = false;
  bool exited_ = false;
  uint32_t boots_ = 0;
  Main main_;
  std::optional<Status> exit_status_;
  std::optional<Duration> restart_delay_;
  Storage storage_;
  std::unique_ptr<SimEnv> env_;
  std::vector<std::pair<Runnable*, SimEnv*>> parked_;  // ready, while stalled
};

}  // namespace argon::sim
