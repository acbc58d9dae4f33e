// selftest-rare-two, selftest-rare-three: a keeper with a bug that needs two, or three, rare events one after
// the other, each within five seconds of the one before, and each because of another family of faults. What
// `explore --guided` is measured by (`bench/run guided`).
//
//  first   the process died between making a new version of its file and putting it in place
//  second  the disk refused a sync
//  third   a peer was lost between a request and its answer
//
// Each of them has its probe, which is hit wherever it happens: only the order makes the bug.

#include <array>

#include "core/env/io.h"
#include "core/env/points.h"
#include "scenarios/selftests.h"

namespace argon::scenarios {
namespace {

constexpr Duration kWindow = Duration::seconds(5);
constexpr uint16_t kPort = 7;

// How many of the events have happened in order, on a keeper that dies and lives.
struct Rare {
  Run& run;
  uint64_t fatal;
  uint64_t reached = 0;
  Duration since;

  bool recent() const { return reached > 0 && run.world().now() - since <= kWindow; }
  void happened(uint64_t event) {
    Duration now = run.world().now();
    if (event == 1 || (recent() && reached + 1 == event)) {
      reached = event;
      since = now;
    }
    if (reached == fatal)
      run.fail("rare events in a row",
               std::to_string(fatal) + " of them, at " + std::to_string(now.to_microseconds()) + " us");
  }
};

Status replace(Task& task, Env& env, Rare& rare) {
  TRY_ASSIGN(auto file, env.disk().open(task, "/state.new", OpenMode::CreateOrOpen));
  TRY(write_all_at(task, *file, 0, as_bytes("state")));
  if (Status synced = file->fdatasync(task); !synced.ok()) {
    env.probe("selftest.second"_probe);
    rare.happened(2);
  }
  return env.disk().rename(task, "/state.new", "/state");
}

Status ask_peer(Task& task, Env& env, Rare& rare) {
  std::array<uint8_t, 1> byte{};
  Deadline deadline(task, Duration::seconds(1));
  TRY_ASSIGN(auto stream, env.network().connect(task, Address::tcp("peer", kPort)));
  TRY(write_all(task, *stream, byte));
  Status answered = read_exact(task, *stream, byte);
  if (answered.is(Code::Disconnected)) {
    env.probe("selftest.third"_probe);
    rare.happened(3);
  }
  return answered;
}

Status keep(Task& task, Env& env, Rare& rare) {
  if (env.disk().stat(task, "/state.new").ok()) {
    env.probe("selftest.first"_probe);
    rare.happened(1);
    TRY(env.disk().unlink(task, "/state.new"));
  }
  for (;;) {
    // It looks after what the first event left behind in a hurry.
    bool hurries = rare.recent() && rare.reached == 1;
    Duration pause = hurries ? Duration::milliseconds(50) : Duration::seconds(20);
    TRY(task.sleep(env.random("pause").exponential(pause)));
    if (!rare.run.may_operate()) continue;
    ignore_result(replace(task, env, rare));  // tried again with the next
    ignore_result(ask_peer(task, env, rare));
    rare.run.work().commits_acked++;
  }
}

Status answer(Task& task, Env& env) {
  TRY_ASSIGN(auto listener, env.network().listen(task, Address::tcp("0.0.0.0", kPort)));
  for (;;) {
    TRY_ASSIGN(auto stream, listener->accept(task));
    std::array<uint8_t, 1> byte{};
    Deadline deadline(task, Duration::seconds(1));
    if (read_exact(task, *stream, byte).ok()) ignore_result(write_all(task, *stream, byte));
  }
}

void body(Run& run, uint64_t fatal) {
  Rare rare{run, fatal, 0, {}};
  sim::Machine& peer = run.world().add_machine("peer");
  sim::Machine& keeper = run.world().add_machine("keeper");
  for (sim::Machine* machine : {&peer, &keeper}) machine->supervise(Duration::milliseconds(100));
  peer.boot(answer);
  keeper.boot([&](Task& task, Env& env) { return keep(task, env, rare); });
  run.start_faults({"peer", "keeper"}, run.options().length);
  run.run_for(run.options().length);
  run.heal();
  keeper.power_loss();  // nothing of it may refer to `rare` any more
}

}  // namespace

constinit const Scenario kSelftestRareTwo{"selftest-rare-two",
                                          "a bug that needs two rare events in a row, on purpose",
                                          [](Run& run) { body(run, 2); },
                                          {},
                                          true};
constinit const Scenario kSelftestRareThree{"selftest-rare-three",
                                            "a bug that needs three rare events in a row, on purpose",
                                            [](Run& run) { body(run, 3); },
                                            {},
                                            true};

}  // namespace argon::scenarios
