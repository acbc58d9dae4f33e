#include "scenarios/postgres_bank.h"

#include "scenarios/oracle_remote.h"
#include "scenarios/sql_bank.h"

namespace argon::scenarios {
namespace {

void body(Run& run) {
  Cluster cluster(run, BankCompute::knobs());
  if (!cluster.set_up()) return;
  BankCompute compute(cluster);
  compute.start();
  watch_remote(cluster);
  cluster.start_faults();
  run.run_for(run.options().length);
  end_postgres_run(run, cluster, {&compute.machine()},
                   [&](const std::string& which) { compute.check_progress(which); });
}

}  // namespace

constinit const Scenario kPostgresBank{
    "postgres-bank",
    "a stock PostgreSQL server is the compute: whatever SQL shows is right, whatever loses power",
    body,
    {5, 1, 0},
    false,
    true,
    true};

}  // namespace argon::scenarios
