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
    case Kind::OneSidedReset:
      world_.counters.add(fault.kind, world_.net().reset_peers(*machine));
      return;
    case Kind::BitRot:
      rot(*machine);
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
    case Kind::BridgePartition:
    case Kind::IsolatedNode:
    case Kind::Clog:
      partition(fault, true);
      break;
    case Kind::SlowLink:
    case Kind::FarLink:
    case Kind::NarrowLink:
      world_.net()
          .faults(machine->index(), world_.find_machine(fault.to)->index())
          .begin(fault.kind, fault.value);
      break;
    case Kind::PowerLoss:
    case Kind::CrashLoop:
    case Kind::ProcessKill:
    case Kind::KillLoop:
      crash(fault.kind, *machine);
      if (fault.kind == Kind::CrashLoop || fault.kind == Kind::KillLoop) crash_again(index);
      break;
    case Kind::Blackout:
      for (Machine* one : nodes_of(fault)) crash(fault.kind, *one);
      break;
    case Kind::OutOfMemory:
      machine->kill_after(static_cast<uint64_t>(std::max<int64_t>(fault.value, 1)));
      break;
    case Kind::DiskLost:
      machine->power_loss();
      machine->storage().wipe();
      world_.counters.add(fault.kind);
      break;
    case Kind::OldDiskImage:
      images_[index].copy_from(machine->storage());
      break;
    case Kind::WallClockDrift:
      machine->drift_wall_clock(fault.value);
      machine->faults.begin(fault.kind, fault.value);
      break;
    case Kind::WallClockFrozen:
      machine->freeze_wall_clock();
      machine->faults.begin(fault.kind, fault.value);
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
    case Kind::BridgePartition:
    case Kind::IsolatedNode:
    case Kind::Clog:
      partition(fault, false);
      return;
    case Kind::SlowLink:
    case Kind::FarLink:
    case Kind::NarrowLink:
      world_.net().faults(machine->index(), world_.find_machine(fault.to)->index()).end(fault.kind);
      return;
    case Kind::Stall:
      // Unless another stall goes on longer.
      if (healed_) machine->end_stall();
      return;
    case Kind::GracefulRestart:
      // Whoever has not stopped by now is killed.
      if (machine->up()) machine->power_loss();
      revive(*machine);
      return;
    case Kind::PowerLoss:
    case Kind::CrashLoop:
    case Kind::ProcessKill:
    case Kind::KillLoop:
    case Kind::DiskLost:
      revive(*machine);
      return;
    case Kind::Blackout:
      for (Machine* one : nodes_of(fault)) revive(*one);
      return;
    case Kind::OutOfMemory:
      machine->kill_after(0);
      revive(*machine);
      return;
    case Kind::OldDiskImage:
      machine->power_loss();
      machine->storage().copy_from(images_.at(index));
      images_.erase(index);
      world_.counters.add(fault.kind);
      revive(*machine);
      return;
    case Kind::WallClockDrift:
      machine->drift_wall_clock(0);
      machine->faults.end(fault.kind);
      return;
    case Kind::BufferPressure:
      world_.faults.end(fault.kind);
      world_.net().wake_writers();
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
    crash(plan_.faults[index].kind, *world_.find_machine(plan_.faults[index].node));
    crash_again(index);
  });
}

void FaultDriver::crash(Kind kind, Machine& machine) {
  if (machine.up()) world_.counters.add(kind);
  if (kind == Kind::ProcessKill || kind == Kind::KillLoop)
    machine.kill();
  else
    machine.power_loss();
}

// Whom a bit mask names.
std::vector<Machine*> FaultDriver::nodes_of(const Fault& fault) const {
  std::vector<Machine*> named;
  for (const auto& machine : world_.machines())
    if (!machine->spared() && machine->index() <= 63 &&
        (static_cast<uint64_t>(fault.value) >> (machine->index() - 1u) & 1u) != 0)
      named.push_back(machine.get());
  return named;
}

// One bit of one file that may rot.
void FaultDriver::rot(Machine& machine) {
  if (may_rot_ == nullptr) return;
  std::vector<std::string> files = machine.storage().files();
  std::erase_if(files, [&](const std::string& path) { return !may_rot_(machine, path); });
  if (files.empty()) return;
  std::shared_ptr<Inode> file = machine.storage().find(files[random_.below(files.size())]);
  if (file->size() == 0) return;
  uint64_t offset = random_.below(file->size());
  auto bit = static_cast<unsigned>(random_.below(8));
  if (file->flip(offset, bit)) world_.counters.add(Kind::BitRot);
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
      bool from_it = from->name() == fault.node;
      bool to_it = to->name() == fault.node;
      bool apart = from_it && to->name() == fault.to;
      if (fault.kind == Kind::GroupPartition) apart = side(*from) != side(*to);
      if (fault.kind == Kind::BridgePartition) apart = !from_it && !to_it && side(*from) != side(*to);
      if (fault.kind == Kind::IsolatedNode) apart = from_it != to_it;
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
