#include "scenarios/selftest_leak.h"

#include <ctime>

namespace argon::scenarios {
namespace {

void leak(Run& run) {
  sim::Machine& machine = run.world().add_machine("leaky");
  machine.boot([&run](Task& task, Env&) -> Status {
    for (int i = 0; i < 1000; i++) {
      timespec real{};
      clock_gettime(CLOCK_MONOTONIC, &real);
      TRY(task.sleep(Duration::microseconds(1 + real.tv_nsec % 1000)));
      run.work().commits_acked++;
    }
    return {};
  });
  run.run_for(run.options().length);
}

}  // namespace

constinit const Scenario kSelftestLeak{
    "selftest-leak", "reads a real clock on purpose: check-determinism must say so", leak, {}, true};

}  // namespace argon::scenarios
