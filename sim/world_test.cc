#include "sim/world.h"

#include <gtest/gtest.h>

#include "core/env/io.h"
#include "core/env/points.h"
#include "sim/fault_driver.h"
#include "sim/machine.h"

namespace argon::sim {
namespace {

using namespace argon::literals;

Status echo_server(Task& task, Env& env) {
  TRY_ASSIGN(auto listener, env.network().listen(task, Address::tcp("0.0.0.0", 7)));
  Scope connections(task);
  for (;;) {
    Result<std::unique_ptr<Stream>> accepted = listener->accept(task);
    if (!accepted.ok()) break;
    connections.spawn("echo", [stream = std::shared_ptr<Stream>(std::move(*accepted))](Task& own) -> Status {
      Bytes buffer(1000);
      for (;;) {
        Result<size_t> n = stream->read(own, buffer);
        if (!n.ok() || *n == 0) return {};
        if (!write_all(own, *stream, ByteView(buffer).first(*n)).ok()) return {};
      }
    });
  }
  return connections.stop(task);
}

Status echo_client(Task& task, Env& env, size_t bytes) {
  TRY_ASSIGN(auto stream, env.network().connect(task, Address::tcp("server", 7)));
  Bytes sent(bytes);
  env.random("payload").fill(sent);
  Scope writer(task);
  writer.spawn("writer", [&](Task& own) -> Status {
    TRY(write_all(own, *stream, sent));
    return stream->shutdown_write(own);
  });
  Bytes received(bytes);
  TRY(read_exact(task, *stream, received));
  Bytes one(1);
  TRY_ASSIGN(size_t more, stream->read(task, one));
  TRY(writer.join(task));
  if (more != 0 || received != sent) return Error(Code::Corrupt, "the echo differs");
  return {};
}

Hash128 echo_run(WorldOptions options, uint64_t* events = nullptr) {
  World world(options);
  world.add_machine("server").boot(echo_server);
  Machine& client = world.add_machine("client");
  client.boot([](Task& task, Env&) { return task.sleep(1_s); });
  world.faults.begin(faults::Kind::ShortReads, 3);
  world.faults.begin(faults::Kind::ShortWrites, 3);
  Status status = world.run(client, [&](Task& task) -> Status {
    TRY(task.sleep(10_ms));
    return echo_client(task, task.env(), 300'000);
  });
  EXPECT_TRUE(status.ok()) << status.error().to_string();
  if (events != nullptr) *events = world.log().count();
  return world.hash();
}

TEST(World, TheSameSeedGivesTheSameHash) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    uint64_t events = 0;
    Hash128 first = echo_run(WorldOptions::drawn(seed), &events);
    EXPECT_EQ(first, echo_run(WorldOptions::drawn(seed))) << seed;
    EXPECT_GT(events, 100u);
  }
}

TEST(World, DifferentSeedsGiveDifferentRuns) {
  EXPECT_NE(echo_run(WorldOptions::drawn(1)), echo_run(WorldOptions::drawn(2)));
}

TEST(World, EverySchedulePolicyRunsEverything) {
  for (Schedule schedule : {Schedule::Fifo, Schedule::Random, Schedule::Priorities}) {
    WorldOptions options;
    options.schedule = schedule;
    echo_run(options);
  }
}

TEST(World, TimeJumpsWhereNothingIsReady) {
  World world({});
  Machine& machine = world.add_machine("m");
  machine.boot([](Task& task, Env&) { return task.sleep(86400_s); });
  EXPECT_TRUE(world.run_until([&] { return !machine.up(); }, 100'000_s));
  EXPECT_GE(world.now(), 86400_s);
  EXPECT_LT(world.log().count(), 20u);
}

TEST(World, PowerLossUnwindsTheProcessAndKeepsTheDisk) {
  World world({});
  struct Guard {
    ~Guard() { destroyed++; }
    int& destroyed;
  };
  int destroyed = 0;
  Machine& machine = world.add_machine("m");
  machine.boot([&](Task& task, Env& env) -> Status {
    Guard guard{destroyed};
    if (env.disk().stat(task, "/state").ok()) return {};
    TRY(write_file_durably(task, env.disk(), "/state", as_bytes("kept")));
    Scope scope(task);
    for (int i = 0; i < 3; i++)
      scope.spawn("sleeper", [&destroyed](Task& own) {
        Guard inner{destroyed};
        return own.sleep(100_s);
      });
    return scope.join(task);
  });
  world.run_for(1_s);
  machine.faults.begin(faults::Kind::UnsyncedDataLost, 0);
  machine.faults.begin(faults::Kind::UnsyncedNamesLost, 0);
  machine.power_loss();
  EXPECT_EQ(destroyed, 4);
  EXPECT_FALSE(machine.up());
  machine.restart();
  world.run_for(1_s);
  ASSERT_TRUE(machine.exit_status().has_value());
  EXPECT_TRUE(machine.exit_status()->ok());
}

// Whoever made it died before its name was durable.
TEST(World, MakeDirsMakesTheNameOfWhatIsThereDurable) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    WorldOptions options;
    options.seed = seed;
    World world(options);
    Machine& machine = world.add_machine("node");
    bool written = false, there = false;
    machine.boot([&](Task& task, Env& env) -> Status {
      if (written) {
        there = read_file(task, env.disk(), "/d/f").ok();
        return {};
      }
      TRY(env.disk().make_dir(task, "/d"));
      TRY(make_dirs(task, env.disk(), "/d"));
      TRY(write_file_durably(task, env.disk(), "/d/f", as_bytes("kept")));
      written = true;
      return task.sleep(100_s);
    });
    world.run_for(1_s);
    ASSERT_TRUE(written);
    machine.faults.begin(faults::Kind::UnsyncedNamesLost, 0);
    machine.power_loss();
    machine.restart();
    world.run_for(1_s);
    EXPECT_TRUE(there) << "seed " << seed;
  }
}

TEST(World, APeerLearnsOfPowerLoss) {
  World world({});
  Machine& server = world.add_machine("server");
  server.boot(echo_server);
  Machine& client = world.add_machine("client");
  client.boot([](Task& task, Env& env) -> Status {
    TRY(task.sleep(10_ms));
    TRY_ASSIGN(auto stream, env.network().connect(task, Address::tcp("server", 7)));
    Bytes buffer(10);
    TRY(stream->read(task, buffer));
    return {};
  });
  world.run_for(1_s);
  server.power_loss();
  world.run_for(1_s);
  ASSERT_TRUE(client.exit_status().has_value());
  EXPECT_TRUE(client.exit_status()->is(Code::Disconnected));
}

// What is healed is healed: for connections that were made before, and for who waits at both ends of one.
TEST(World, AConnectionMadeUnderBufferPressureHasRoomBehindIt) {
  World world({});
  world.add_machine("server").boot(echo_server);
  Machine& client = world.add_machine("client");
  client.boot([](Task& task, Env&) { return task.sleep(1_s); });
  faults::Plan plan;
  plan.faults.push_back(
      {.kind = faults::Kind::BufferPressure, .at = {}, .length = 1_s, .node = {}, .to = {}, .value = 100});
  FaultDriver driver(world, plan);
  driver.start();
  auto body = [&](Task& task) -> Status {
    TRY(task.sleep(10_ms));
    TRY_ASSIGN(auto stream, task.env().network().connect(task, Address::tcp("server", 7)));
    Bytes message(4000);
    TRY(write_all(task, *stream, message));  // before any of it is read back
    EXPECT_GE(world.now(), 1_s);
    return read_exact(task, *stream, message);
  };
  Status status = world.run(client, body, 10_s);
  EXPECT_TRUE(status.ok()) << status.error().to_string();
}

TEST(World, TheFirstDifferingEventIsPrinted) {
  auto run = [](uint64_t bytes) {
    WorldOptions options;
    options.keep_events = true;
    auto world = std::make_unique<World>(options);
    Machine& machine = world->add_machine("m");
    machine.boot([](Task& task, Env&) { return task.sleep(10_s); });
    EXPECT_TRUE(world
                    ->run(machine,
                          [&](Task& task) {
                            Bytes content(bytes);
                            return write_file_durably(task, task.env().disk(), "/f", content);
                          })
                    .ok());
    return world;
  };
  auto a = run(10);
  auto b = run(10);
  auto c = run(11);
  EXPECT_EQ(first_difference(a->log(), b->log()), "");
  std::string difference = first_difference(a->log(), c->log());
  EXPECT_NE(difference.find("disk-write"), std::string::npos) << difference;
}

TEST(World, EventsKnowTheirCausesAndKeepingThemChangesNothing) {
  auto run = [](bool keep_events) {
    WorldOptions options;
    options.keep_events = keep_events;
    auto world = std::make_unique<World>(options);
    world->add_machine("server").boot(echo_server);
    world->add_machine("client").boot([](Task& task, Env& env) -> Status {
      TRY(task.sleep(10_ms));
      TRY_ASSIGN(auto stream, env.network().connect(task, Address::tcp("server", 7)));
      TRY(write_all(task, *stream, as_bytes("hello")));
      Bytes buffer(5);
      return read_exact(task, *stream, buffer);
    });
    world->run_for(1_s);
    return world;
  };
  auto world = run(true);
  EXPECT_EQ(world->hash(), run(false)->hash());
  const EventLog& log = world->log();
  std::vector<Event> events = log.events();
  size_t delivered = 0;
  for (uint32_t i = 0; i < events.size(); i++) {
    Cause cause = log.cause(i);
    if (cause.event == Cause::kNone) continue;
    ASSERT_LT(cause.event, i);
    if (events[i].kind != EventKind::Deliver || events[cause.event].kind != EventKind::Send) continue;
    delivered++;
    EXPECT_EQ(events[cause.event].a, events[i].a) << "another connection";
    EXPECT_NE(events[cause.event].node, events[i].node);
    EXPECT_EQ(log.size(cause.event), 5u);
    EXPECT_EQ(events[log.cause(cause.event).event].kind, EventKind::Run);
    EXPECT_EQ(events[log.cause(cause.event).event].node, events[cause.event].node);
  }
  EXPECT_EQ(delivered, 2u);
}

TEST(World, AFailedProcessIsStartedAgainBySupervision) {
  World world({});
  Machine& machine = world.add_machine("m");
  machine.supervise(1_s);
  machine.boot([](Task& task, Env&) -> Status {
    TRY(task.sleep(10_ms));
    return Error(Code::Io, "the disk is gone");
  });
  world.run_for(5_s);
  EXPECT_GE(machine.boots(), 4u);
}

TEST(World, AGracefulStopLetsTasksEndThemselves) {
  World world({});
  Machine& machine = world.add_machine("m");
  bool orderly = false;
  machine.boot([&](Task& task, Env& env) -> Status {
    Status slept = task.sleep(1000_s);
    Shield shield(task);
    TRY(write_file_durably(task, env.disk(), "/stopped", as_bytes("yes")));
    orderly = true;
    return slept;
  });
  world.run_for(1_s);
  machine.ask_to_stop();
  EXPECT_TRUE(world.run_until([&] { return !machine.up(); }, 1_s));
  EXPECT_TRUE(orderly);
}

// How often each rare branch is taken when every one is asked for `rounds` times.
std::vector<uint64_t> rare_branches_taken(uint64_t seed, bool buggify, int rounds) {
  WorldOptions options;
  options.seed = seed;
  options.buggify = buggify;
  World world(options);
  Machine& machine = world.add_machine("asks");
  machine.boot([](Task& task, Env&) { return task.sleep(1_s); });
  EXPECT_TRUE(world
                  .run(machine,
                       [rounds](Task& task) -> Status {
                         for (int i = 0; i < rounds; i++)
                           for (size_t branch = 0; branch < kRareBranchCount; branch++)
                             task.env().buggify(static_cast<RareBranch>(branch));
                         return {};
                       })
                  .ok());
  return world.rare_branches();
}

TEST(World, RareBranchesAreTakenNowAndThenInAQuarterOfTheRunsThatHaveThem) {
  uint64_t active = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    for (uint64_t taken : rare_branches_taken(seed, true, 800)) {
      if (taken == 0) continue;
      active++;
      EXPECT_GT(taken, 20U);
      EXPECT_LT(taken, 110U);
    }
    for (uint64_t taken : rare_branches_taken(seed, false, 100)) EXPECT_EQ(taken, 0U);
  }
  EXPECT_GT(active, 40 * kRareBranchCount / 5);
  EXPECT_LT(active, 40 * kRareBranchCount * 3 / 10);
  EXPECT_EQ(rare_branches_taken(7, true, 300), rare_branches_taken(7, true, 300));
}

TEST(World, CountsTheProbesThatAreHit) {
  World world{WorldOptions{}};
  Machine& machine = world.add_machine("hits");
  machine.boot([](Task& task, Env& env) {
    env.probe("safekeeper.log-cut"_probe);
    return task.sleep(1_s);
  });
  world.run_for(1_ms);
  machine.power_loss();
  machine.restart();
  world.run_for(1_ms);
  for (size_t i = 0; i < kProbeCount; i++)
    EXPECT_EQ(world.probes()[i], kProbes[i].name == "safekeeper.log-cut" ? 2U : 0U);
}

}  // namespace
}  // namespace argon::sim
