#include "sim/fault_driver.h"

#include "sim/machine.h"

namespace argon::sim {

using faults::Fault;
using faults::Kind;

FaultDriver::FaultDriver(World& world, faults::Plan plan)
    : world_(world), plan_(std::move(plan)), random_(world.stream("fault driver")) {}

void FaultDriver::start() {
  for (size_t i = 0; i < plan_.faults.size(); i++) {
    const Fault& fault = plan_.faults[i];
    bool known = (fault.node.empty() || world_.find_machine(fault.node) != nullptr) &&
                 (fault.to.empty() || world_.find_machine(fault.to) != nullptr);
    if (known) world_.at(fault.at, [this, i] { begin(i); });
  }
}

void FaultDriver::begin(size_t index) {
  if (healed_) return;
  const Fault& fault = plan_.faults[index];
  Machine* machine = fault.node.empty() ? nullptr : world_.find_machine(fault.node);
  world_.record_cause(EventKind::Fault, machine != nullptr ? machine->index() : 0,
                      static_cast<uint32_t>(fault.kind), index);
  if (world_.traced()) world_.remark(machine != nullptr ? machine->index() : 0, "fault", print(fault));
  switch (fault.kind) {
    case Kind::Reset:
      world_.counters.add(fault.kind, world_.net().reset_connections(*machine));
      return;
    case Kind::WallClockStep:
      machine->step_wall_clock(Duration::milliseconds(fault.value));
      world_.counters.add(fault.kind);
      return;
    case Kind::Stall:
      machine->stall_until(world_.now() + fault.length);
      world_.counters.add(fault.kind);
      break;
    case Kind::OneWayPartition:
    case Kind::GroupPartition:
    case Kind::Clog:
      partition(fault, true);
      break;
    case Kind::SlowLink:
      world_.net().begin_slow(machine->index(), world_.find_machine(fault.to)->index(), fault.value);
      break;
    case Kind::PowerLoss:
    case Kind::CrashLoop:
      if (machine->up()) world_.counters.add(fault.kind);
      crash(*machine);
      if (fault.kind == Kind::CrashLoop) crash_again(index);
      break;
    case Kind::GracefulRestart:
      if (machine->up()) world_.counters.add(fault.kind);
      machine->ask_to_stop();
      break;
    default:
      (machine != nullptr ? machine->faults : world_.faults).begin(fault.kind, fault.value);
  }
  active_.insert(index);
  world_.after(fault.length, [this, index] { end(index); });
}

void FaultDriver::end(size_t index) {
  if (active_.erase(index) == 0) return;
  const Fault& fault = plan_.faults[index];
  Machine* machine = fault.node.empty() ? nullptr : world_.find_machine(fault.node);
  switch (fault.kind) {
    case Kind::OneWayPartition:
    case Kind::GroupPartition:
    case Kind::Clog:
      partition(fault, false);
      return;
    case Kind::SlowLink:
      world_.net().end_slow(machine->index(), world_.find_machine(fault.to)->index());
      return;
    case Kind::Stall:
      // Unless another stall goes on longer.
      if (healed_) machine->end_stall();
      return;
    case Kind::GracefulRestart:
      // Whoever has not stopped by now is killed.
      if (machine->up()) crash(*machine);
      revive(*machine);
      return;
    case Kind::PowerLoss:
    case Kind::CrashLoop:
      revive(*machine);
      return;
    default:
      (machine != nullptr ? machine->faults : world_.faults).end(fault.kind);
  }
}

// Lives for the drawn time, dies, and so on until the fault ends.
void FaultDriver::crash_again(size_t index) {
  Duration dark = random_.between(Duration::milliseconds(1), Duration::milliseconds(100));
  Duration life = random_.exponential(Duration::milliseconds(plan_.faults[index].value));
  world_.after(dark, [this, index] {
    if (active_.contains(index)) revive(*world_.find_machine(plan_.faults[index].node));
  });
  world_.after(dark + life, [this, index] {
    if (!active_.contains(index)) return;
    Machine& machine = *world_.find_machine(plan_.faults[index].node);
    if (machine.up()) world_.counters.add(Kind::CrashLoop);
    crash(machine);
    crash_again(index);
  });
}

void FaultDriver::crash(Machine& machine) {
  machine.power_loss();
}

void FaultDriver::revive(Machine& machine) {
  if (!machine.up() && machine.boots() > 0) machine.restart();
}

// Connections over a partition are found dead afterwards in half the cases; a clog only delays.
void FaultDriver::partition(const Fault& fault, bool begin) {
  bool resets = !begin && fault.kind != Kind::Clog && random_.below(2) == 0;
  auto side = [&](const Machine& m) {
    return (static_cast<uint64_t>(fault.value) >> (m.index() - 1u) & 1u) != 0;
  };
  for (auto& from : world_.machines()) {
    for (auto& to : world_.machines()) {
      bool apart = fault.kind == Kind::GroupPartition ? side(*from) != side(*to)
                                                      : from->name() == fault.node && to->name() == fault.to;
      if (!apart) continue;
      if (begin)
        world_.net().begin_block(from->index(), to->index(), fault.kind);
      else
        world_.net().end_block(from->index(), to->index(), fault.kind);
      if (resets) world_.net().reset_connections(*from, to.get());
    }
  }
}

void FaultDriver::heal() {
  healed_ = true;
  std::set<size_t> active = active_;
  for (size_t index : active) end(index);
  for (auto& machine : world_.machines()) revive(*machine);
}

}  // namespace argon::sim
