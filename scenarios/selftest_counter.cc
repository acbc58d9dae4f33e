// selftest-counter: the scenario of the guide in sim/README.md, with its bug: it does not sync.

#include "core/base/codec.h"
#include "core/env/io.h"
#include "scenarios/selftests.h"

namespace argon::scenarios {
namespace {

Status count_up(Task& task, Env& env, Run& run, uint64_t& promised) {
  TRY_ASSIGN(auto file, env.disk().open(task, "/count", OpenMode::CreateOrOpen));
  TRY(env.disk().sync_dir(task, "/"));
  Bytes bytes(8);
  TRY(file->read_at(task, 0, bytes));
  uint64_t stored = load_le<uint64_t>(bytes.data());
  if (stored < promised)
    run.fail("promised is durable",
             std::to_string(promised) + " was promised, " + std::to_string(stored) + " is stored");
  for (;;) {
    TRY(task.sleep(env.random("pause").exponential(Duration::milliseconds(200))));
    if (!run.may_operate()) continue;
    store_le<uint64_t>(bytes.data(), promised + 1);
    TRY(write_all_at(task, *file, 0, bytes));
    run.remark("counter", "commit", std::to_string(++promised));
    run.work().commits_acked++;
  }
}

void body(Run& run) {
  uint64_t promised = 0;
  sim::Machine& machine = run.world().add_machine("counter");
  machine.supervise(Duration::milliseconds(200));
  machine.boot([&](Task& task, Env& env) { return count_up(task, env, run, promised); });
  run.start_faults({"counter"}, run.options().length);
  run.run_for(run.options().length);
  run.heal();
  run.run_for(Duration::seconds(2));
  machine.power_loss();  // nothing of it may refer to `promised` any more
}

}  // namespace

constinit const Scenario kSelftestCounter{
    "selftest-counter", "what the counter promised is stored; fails, on purpose", body, {30, 0, 0}, true};

}  // namespace argon::scenarios
