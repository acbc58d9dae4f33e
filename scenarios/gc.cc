#include "scenarios/gc.h"

#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "scenarios/cluster_run.h"
#include "scenarios/lease_holders.h"
#include "scenarios/oracle_remote.h"

namespace argon::scenarios {
namespace {

constexpr size_t kMostLines = 5;
constexpr uint64_t kLeaseHolders = 12;

// Has it attach the tenant with a generation of its own. False where it was not done in time.
bool attach_at(Cluster& cluster, const sim::Machine& pageserver, Duration limit) {
  auto done = std::make_shared<bool>(false);
  Address address = Address::tcp(pageserver.name(), cluster.management().port);
  cluster.operators().spawn("attach", [&cluster, address, limit, done](Task& task) -> Status {
    MonotonicTime end = task.env().now() + limit;
    while (!*done && task.env().now() < end) {
      {
        Deadline deadline(task, Duration::seconds(5));
        *done = http::fetch_json(task, address, "PUT",
                                 "/v1/tenant/" + to_string(cluster.tenant()) + "/location_config",
                                 {{"mode", "AttachedSingle"}})
                    .ok();
      }
      TRY(task.sleep(Duration::milliseconds(200)));
    }
    return {};
  });
  cluster.run().run_until([&] { return *done; }, limit + Duration::seconds(6));
  return *done;
}

// The second pageserver takes the tenant over, for a while. The first is not told.
void take_over(Cluster& cluster) {
  Run& run = cluster.run();
  if (!cluster.rival_pageserver().up()) cluster.rival_pageserver().restart();
  attach_at(cluster, cluster.rival_pageserver(), Duration::seconds(6));
  run.run_for(run.random().between(Duration::seconds(0), Duration::seconds(4)));
  if (run.failed()) return;
  if (run.random().chance({1, 2})) cluster.rival_pageserver().power_loss();
  if (run.random().chance({1, 2})) {
    cluster.pageserver().power_loss();
    cluster.pageserver().restart();
  }
  attach_at(cluster, cluster.pageserver(), Duration::seconds(10));
}

void step(Cluster& cluster, LeaseHolders& leases, bool rival) {
  uint64_t what = cluster.run().random().below(16);
  if (what < 8)
    ask_for_work(cluster);
  else if (what < 11)
    maybe_branch(cluster, kMostLines);
  else if (what < 15 || !rival)
    leases.add();
  else
    take_over(cluster);
}

void gc_body(Run& run) {
  using enum faults::Kind;
  ClusterKnobs knobs;
  knobs.small_layers = true;
  knobs.gc = true;
  knobs.rival_pageserver = run.random().fork("rival").chance({1, 3}) && run.limited("rivals", 1) > 0;
  Cluster cluster(run, knobs);
  if (!cluster.set_up()) return;
  cluster.add_compute(*cluster.lines().front(), Duration::seconds(1));
  watch_remote(cluster);
  cluster.start_faults({WallClockOffset, WallClockStep, WallClockDrift, WallClockFrozen});
  LeaseHolders leases(cluster, run.limited("leases", kLeaseHolders));
  now_and_then(run, run.options().length / 40, [&] { step(cluster, leases, knobs.rival_pageserver); });
  if (run.failed()) return;
  run.heal();
  if (knobs.rival_pageserver) {
    cluster.rival_pageserver().power_loss();
    cluster.pageserver().power_loss();
    cluster.pageserver().restart();
    if (!attach_at(cluster, cluster.pageserver(), Duration::seconds(60)))
      run.fail("a tenant is attached when asked for", "not within 60 s after healing");
  }
  check_end(cluster);
}

}  // namespace

constinit const Scenario kGc{
    "gc",
    "what is in the PITR window, at a branch point or under a lease stays, whatever GC removes",
    gc_body,
    {10, 20, 0},
    false};

}  // namespace argon::scenarios
