// FaultDriver: makes a plan's faults happen in a world, and can end them all.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "faults/plan.h"
#include "sim/storage.h"
#include "sim/world.h"

namespace argon::sim {

class FaultDriver {
 public:
  // The plan's nodes are the world's machines; faults of unknown machines are left out. The driver
  // lives as long as the world runs.
  FaultDriver(World& world, faults::Plan plan);
  FaultDriver(const FaultDriver&) = delete;
  FaultDriver& operator=(const FaultDriver&) = delete;

  // Which files of a disk bits may rot in; none where it is not told.
  void allow_rot(std::function<bool(Machine&, const std::string& path)> may) { may_rot_ = std::move(may); }
  // Schedules everything. Times are relative to the world's beginning; what is past begins at once.
  void start();
  // Ends every fault in force, forgets those to come, and starts every machine that is down.
  void heal();
  // As World::reseed.
  void reseed(uint64_t salt) { random_ = random_.fork("reseed " + std::to_string(salt)); }

 private:
  void begin(size_t index);
  void end(size_t index);
  void crash_again(size_t index);
  void crash(faults::Kind kind, Machine& machine);
  void rot(Machine& machine);
  std::vector<Machine*> nodes_of(const faults::Fault& fault) const;
  static void revive(Machine& machine);
  void partition(const faults::Fault& fault, bool begin);

  World& world_;
  faults::Plan plan_;
  Random random_;
  bool healed_ = false;
  std::set<size_t> active_;
  std::map<size_t, Storage> images_;  // of disks, by fault
  std::function<bool(Machine&, const std::string&)> may_rot_;
};

}  // namespace argon::sim
