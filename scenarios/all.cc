// The library: every scenario there is, in the order in which `argon-sim list` shows them.

#include "scenarios/archive.h"
#include "scenarios/bank.h"
#include "scenarios/broker_loss.h"
#include "scenarios/clock_trouble.h"
#include "scenarios/cluster.h"
#include "scenarios/compaction.h"
#include "scenarios/control_api.h"
#include "scenarios/deletion.h"
#include "scenarios/detach.h"
#include "scenarios/durable_log.h"
#include "scenarios/elections.h"
#include "scenarios/gc.h"
#include "scenarios/ledger.h"
#include "scenarios/load.h"
#include "scenarios/membership.h"
#include "scenarios/object_store.h"
#include "scenarios/pageserver_loss.h"
#include "scenarios/postgres_bank.h"
#include "scenarios/postgres_move.h"
#include "scenarios/postgres_sql.h"
#include "scenarios/proxy.h"
#include "scenarios/safekeeper_loss.h"
#include "scenarios/scenario.h"
#include "scenarios/secondary_takeover.h"
#include "scenarios/selftests.h"
#include "scenarios/single_key.h"
#include "scenarios/slow_disk.h"
#include "scenarios/two_computes.h"
#include "scenarios/wal_service.h"

namespace argon::scenarios {

const std::vector<Scenario>& all_scenarios() {
  static const std::vector<Scenario> kAll = {kCluster,
                                             kDurableLog,
                                             kElections,
                                             kWalService,
                                             kArchive,
                                             kBank,
                                             kLedger,
                                             kSingleKey,
                                             kBrokerLoss,
                                             kClockTrouble,
                                             kCompaction,
                                             kControlApi,
                                             kDeletion,
                                             kDetach,
                                             kGc,
                                             kMembership,
                                             kObjectStore,
                                             kPageserverLoss,
                                             kPostgresBank,
                                             kPostgresMove,
                                             kPostgresSql,
                                             kProxy,
                                             kSafekeeperLoss,
                                             kSecondaryTakeover,
                                             kSlowDisk,
                                             kTwoComputes,
                                             kIdle,
                                             kSaturation,
                                             kSelftestLeak,
                                             kSelftestAddress,
                                             kSelftestGarbage,
                                             kSelftestForbidden,
                                             kSelftestCareless,
                                             kSelftestCrash,
                                             kSelftestMemory,
                                             kSelftestCounter,
                                             kSelftestApart,
                                             kSelftestRareTwo,
                                             kSelftestRareThree};
  return kAll;
}

}  // namespace argon::scenarios
