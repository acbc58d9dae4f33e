#include "scenarios/oracle_rebuild.h"

#include "scenarios/oracle_branches.h"

namespace argon::scenarios {

void check_rebuild(Cluster& cluster) {
  if (cluster.run().failed()) return;
  sim::Machine& pageserver = cluster.pageserver();
  pageserver.power_loss();
  pageserver.storage().wipe();
  pageserver.restart();
  cluster.run().run_for(Duration::seconds(1));
  check_all_pages(cluster, "rebuilt from safekeepers and object store");
}

}  // namespace argon::scenarios
