// The library: every scenario there is, in the order in which `argon-sim list` shows them.

#include "scenarios/cluster.h"
#include "scenarios/durable_log.h"
#include "scenarios/elections.h"
#include "scenarios/scenario.h"
#include "scenarios/selftests.h"
#include "scenarios/wal_service.h"

namespace argon::scenarios {

const std::vector<Scenario>& all_scenarios() {
  static const std::vector<Scenario> kAll = {kCluster,           kDurableLog,       kElections,
                                             kWalService,        kSelftestLeak,     kSelftestGarbage,
                                             kSelftestForbidden, kSelftestCareless, kSelftestCounter};
  return kAll;
}

}  // namespace argon::scenarios
