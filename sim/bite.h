// What bite tests share: a world with two machines, a careless program, and a fault that breaks it.
//
// Each program survives without the fault, breaks under it in at least one of a few seeds, and the
// kind's counter has counted. ctest knows each as `bite.KIND`; a kind without one fails
// Bite.every_kind_has_one.

#pragma once

#include <gtest/gtest.h>

#include "core/env/io.h"
#include "sim/fault_driver.h"
#include "sim/machine.h"

namespace argon::sim::bite {

using namespace argon::literals;
using faults::Fault;
using faults::Kind;

// One run of a careless program. Machine "a" and "b" exist and are up; fault() lets it begin.
struct Trial {
  World& world;
  Machine& a;
  Machine& b;
  std::function<void()> fault;

  // What the body said, or that it did not end within the limit.
  Status on(Machine& machine, std::function<Status(Task&)> body, Duration limit = 10_s) {
    if (!machine.up()) machine.restart();
    return world.run(machine, std::move(body), limit);
  }
  void power_cycle(Machine& machine) {
    machine.power_loss();
    machine.restart();
  }
};

using Program = std::function<bool(Trial&)>;  // false: it broke

// EXPECTs that the fault, and nothing else, breaks the program. Bits may rot in every file.
void bites(const Fault& fault, const Program& program);

Fault on_a(Kind kind, int64_t value = 0, Duration length = 100_s);
Fault on_b(Kind kind, int64_t value = 0, Duration length = 100_s);
Fault everywhere(Kind kind, int64_t value, Duration length = 100_s);
Fault from_a_to_b(Kind kind, int64_t value = 0, Duration length = 100_s);

// To the echo server on b.
Result<std::unique_ptr<Stream>> dial(Task& task);
Status write_plainly(Task& task, const std::string& path, ByteView content, bool sync, bool sync_name);
// Empty where it cannot be read.
Bytes what_is_there(Trial& trial, const std::string& path);
// The round trip of one byte, in virtual time; the limit where it does not come back.
Duration round_trip(Trial& trial, Duration limit);

// Counts in memory and writes the count down only when asked to stop.
struct Counting {
  std::shared_ptr<uint64_t> counted = std::make_shared<uint64_t>(0);

  Main main(bool save_when_stopped, Duration startup = {}) const;
};

// Sends heartbeats for a while and believes that they arrive.
bool heartbeats_arrive(Trial& t);

}  // namespace argon::sim::bite
