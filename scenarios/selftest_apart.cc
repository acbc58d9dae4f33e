// selftest-apart: a bug that needs one operation early in a run and one late, and nothing between. What
// `shrink` leaves of the hundreds that a run makes is tried by it.

#include "core/env/env.h"
#include "scenarios/selftests.h"

namespace argon::scenarios {
namespace {

constexpr Duration kEarly = Duration::seconds(5);
constexpr Duration kLate = Duration::seconds(40);

void body(Run& run) {
  bool early = false;
  sim::Machine& machine = run.world().add_machine("worker");
  machine.boot([&](Task& task, Env& env) -> Status {
    for (;;) {
      TRY(task.sleep(env.random("pause").exponential(Duration::milliseconds(200))));
      if (!run.may_operate()) continue;
      early |= run.world().now() < kEarly;
      if (early && run.world().now() > kLate) run.fail("early and late", "both were done");
    }
  });
  run.run_for(run.options().length);
  machine.power_loss();  // nothing of it may refer to `early` any more
}

}  // namespace

constinit const Scenario kSelftestApart{
    "selftest-apart", "a bug that needs an early and a late operation, on purpose", body, {}, true};

}  // namespace argon::scenarios
