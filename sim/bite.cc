#include "sim/bite.h"

namespace argon::sim::bite {
namespace {

Status idle(Task& task, Env&) {
  return task.sleep(100'000_s);
}

// Answers each byte with the same byte.
Status echo(Task& task, Env& env) {
  TRY_ASSIGN(auto listener, env.network().listen(task, Address::tcp("0.0.0.0", 7)));
  Scope connections(task);
  for (;;) {
    auto accepted = listener->accept(task);
    if (!accepted.ok()) break;
    connections.spawn("echo", [stream = std::shared_ptr<Stream>(std::move(*accepted))](Task& own) -> Status {
      Bytes buffer(64 * 1024);
      for (;;) {
        auto n = stream->read(own, buffer);
        if (!n.ok() || *n == 0) return {};
        if (!write_all(own, *stream, ByteView(buffer).first(*n)).ok()) return {};
      }
    });
  }
  return connections.stop(task);
}

struct Outcome {
  bool survived;
  uint64_t counted;
};

Outcome try_once(Fault fault, bool with_fault, uint64_t seed, const Program& program) {
  WorldOptions options;
  options.seed = seed;
  World world(options);
  Machine& a = world.add_machine("a");
  Machine& b = world.add_machine("b");
  a.boot(idle);
  b.boot(echo);
  world.run_for(10_ms);
  std::unique_ptr<FaultDriver> driver;
  Trial trial{world, a, b, [&] {
                if (!with_fault) return;
                fault.at = world.now();
                driver = std::make_unique<FaultDriver>(world, faults::Plan{{fault}});
                driver->allow_rot([](Machine&, const std::string&) { return true; });
                driver->start();
                world.run_for(1_us);
              }};
  bool survived = program(trial);
  return {survived, world.counters[fault.kind]};
}

}  // namespace

void bites(const Fault& fault, const Program& program) {
  bool broke = false;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    Outcome without = try_once(fault, false, seed, program);
    EXPECT_TRUE(without.survived) << "it breaks without the fault, seed " << seed;
    EXPECT_EQ(without.counted, 0u);
    Outcome with = try_once(fault, true, seed, program);
    broke = broke || (!with.survived && with.counted > 0);
  }
  EXPECT_TRUE(broke) << print(fault) << " breaks nothing";
}

Fault on_a(Kind kind, int64_t value, Duration length) {
  return {kind, {}, length, "a", {}, value};
}
Fault on_b(Kind kind, int64_t value, Duration length) {
  return {kind, {}, length, "b", {}, value};
}
Fault everywhere(Kind kind, int64_t value, Duration length) {
  return {kind, {}, length, {}, {}, value};
}
Fault from_a_to_b(Kind kind, int64_t value, Duration length) {
  return {kind, {}, length, "a", "b", value};
}

Result<std::unique_ptr<Stream>> dial(Task& task) {
  return task.env().network().connect(task, Address::tcp("b", 7));
}

Status write_plainly(Task& task, const std::string& path, ByteView content, bool sync, bool sync_name) {
  Disk& disk = task.env().disk();
  TRY_ASSIGN(auto file, disk.open(task, path, OpenMode::CreateOrOpen));
  TRY(write_all_at(task, *file, 0, content));
  if (sync) TRY(file->fdatasync(task));
  if (sync_name) TRY(disk.sync_dir(task, "/"));
  return {};
}

Bytes what_is_there(Trial& trial, const std::string& path) {
  Bytes found;
  Status status = trial.on(trial.a, [&](Task& task) -> Status {
    TRY_ASSIGN(found, read_file(task, task.env().disk(), path));
    return {};
  });
  return status.ok() ? found : Bytes();
}

Duration round_trip(Trial& trial, Duration limit) {
  Duration began = trial.world.now();
  Status status = trial.on(
      trial.a,
      [](Task& task) -> Status {
        TRY_ASSIGN(auto stream, dial(task));
        Bytes byte(1, 'x');
        TRY(write_all(task, *stream, byte));
        return read_exact(task, *stream, byte);
      },
      limit);
  return status.ok() ? trial.world.now() - began : limit;
}

Main Counting::main(bool save_when_stopped, Duration startup) const {
  return [counted = counted, save_when_stopped, startup](Task& task, Env& env) -> Status {
    TRY(task.sleep(startup));
    uint64_t count = 0;
    auto saved = read_file(task, env.disk(), "/count");
    if (saved.ok() && saved->size() == 8) count = load_le<uint64_t>(saved->data());
    *counted = count;
    while (task.sleep(10_ms).ok()) *counted = ++count;
    Shield shield(task);
    Bytes bytes(8);
    store_le(bytes.data(), count);
    return save_when_stopped ? write_file_durably(task, env.disk(), "/count", bytes) : Status();
  };
}

bool heartbeats_arrive(Trial& t) {
  uint64_t heard = 0;
  t.b.spawn("heartbeats", [&](Task& task) -> Status {
    TRY_ASSIGN(auto listener, task.env().network().listen(task, Address::tcp("b", 8)));
    TRY_ASSIGN(auto stream, listener->accept(task));
    Bytes byte(1);
    while (read_exact(task, *stream, byte).ok()) heard++;
    return {};
  });
  t.a.spawn("sender", [](Task& task) -> Status {
    TRY(task.sleep(10_ms));
    TRY_ASSIGN(auto stream, task.env().network().connect(task, Address::tcp("b", 8)));
    Bytes byte(1);
    for (;;) {
      TRY(write_all(task, *stream, byte));
      TRY(task.sleep(100_ms));
    }
  });
  t.world.run_for(1_s);
  t.fault();
  uint64_t before = heard;
  t.world.run_for(1_s);
  uint64_t after = heard;
  t.a.power_loss();
  t.b.power_loss();
  return after >= before + 5;
}

}  // namespace argon::sim::bite
