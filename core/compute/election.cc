#include "core/compute/election.h"

#include <algorithm>

#include "core/compute/compute_state.h"

namespace argon::compute {
namespace {

constexpr Duration kElectionProgress = Duration::seconds(5);
constexpr int kAttemptsMax = 20;

}  // namespace

Result<std::unique_ptr<ProposerDriver>> win_election(Task& task, Scope& scope, Env& env, Logger log,
                                                     ElectionConfig config) {
  Disk& disk = env.disk();
  TRY_ASSIGN(ComputeState state, load_compute_state(task, disk, config.state_path));
  consensus::ProposerConfig& proposer = config.driver.proposer;
  proposer.min_term = std::max(proposer.min_term, state.term);
  for (int attempt = 1;; attempt++) {
    auto driver = std::make_unique<ProposerDriver>(
        scope, env, log, config.driver, [&disk, path = config.state_path](Task& t, Term term, Lsn start) {
          return store_compute_state(t, disk, path, {term, start});
        });
    driver->start();
    for (;;) {
      Deadline deadline(task, kElectionProgress);
      Result<consensus::Elected> elected = driver->elect(task);
      if (elected.ok()) return driver;
      if (!elected.is(Code::TimedOut)) {
        TRY(driver->stop(task));
        if (!elected.is(Code::Stale) || attempt >= kAttemptsMax) return elected.error();
        break;
      }
      log.info("waiting for a quorum of the safekeepers {}", consensus::to_string(proposer.configuration));
    }
    proposer.min_term = std::max(proposer.min_term, driver->seen_term());
    TRY(task.sleep(
        env.random("sidecar.election").between(Duration::milliseconds(50), Duration::milliseconds(500))));
  }
}

}  // namespace argon::compute
