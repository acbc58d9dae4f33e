// Broker and three safekeepers in a made-up world, under a compute that writes records and remembers what
// was acknowledged: with power losses, partitions and disk faults, nothing acknowledged is lost or changed.

#include <gtest/gtest.h>

#include "core/broker/broker.h"
#include "core/compute/proposer_driver.h"
#include "core/pg/wal_builder.h"
#include "core/pg/wal_page.h"
#include "core/safekeeper/safekeeper.h"
#include "core/wire/pg_wire.h"
#include "core/wire/replication.h"
#include "sim/fault_driver.h"
#include "sim/machine.h"

namespace argon::sim {
namespace {

using namespace argon::literals;

constexpr Lsn kStart{0x1000028};
constexpr int kSafekeepers = 3;

TenantTimelineId timeline_id() {
  TenantTimelineId id;
  id.tenant.bytes[0] = 0x11;
  id.timeline.bytes[0] = 0x22;
  return id;
}

std::string node_name(int i) {
  return "sk" + std::to_string(i);
}

Status safekeeper_main(Task& task, Env& env, int i) {
  safekeeper::SafekeeperConfig config;
  config.id = NodeId(static_cast<uint64_t>(i));
  config.data_dir = "/data/wal";
  config.object_store_dir = "/data/store";
  config.listen_wal = Address::tcp("0.0.0.0", 5454);
  config.listen_http = Address::tcp("0.0.0.0", 7676);
  config.advertise_wal = node_name(i) + ":5454";
  config.broker = Address::tcp("broker", 50051);
  config.partial_upload_pause = 2_s;
  return safekeeper::run_safekeeper(task, env, config);
}

Status broker_main(Task& task, Env& env) {
  broker::BrokerConfig config;
  config.listen = Address::tcp("0.0.0.0", 50051);
  config.listen_http = Address::tcp("0.0.0.0", 50052);
  return broker::run_broker(task, env, config);
}

// The compute's memory: it survives, since it is what the safekeepers are held to.
struct Ledger {
  Bytes log;  // from kStart: everything that may be in the WAL
  std::vector<pg::PlacedRecord> records;
  Lsn acknowledged = kStart;
  uint64_t commits = 0;
  uint64_t elections = 0;
  Term term;
  std::string broken;

  // A new term begins at `start`: what was beyond is gone for good.
  void restart(Lsn start) {
    if (start < acknowledged)
      broken = "elected at " + to_string(start) + ", acknowledged was " + to_string(acknowledged);
    if (start > kStart + log.size())
      broken = "elected at " + to_string(start) + ", beyond what was ever written";
    if (!broken.empty()) return;
    log.resize(start - kStart);
    while (!records.empty() && records.back().end > start) records.pop_back();
  }
};

compute::ProposerDriverConfig proposer_config(const Ledger& ledger) {
  compute::ProposerDriverConfig config;
  consensus::ProposerConfig& proposer = config.proposer;
  proposer.id = timeline_id();
  proposer.configuration.generation = consensus::ConfigurationGeneration(1);
  for (int i = 1; i <= kSafekeepers; ++i)
    proposer.configuration.members.push_back({NodeId(static_cast<uint64_t>(i)), node_name(i), 5454});
  proposer.server = {150013, 4711, pg::kWalSegmentSize};
  proposer.min_term = ledger.term;
  proposer.bootstrap_start = kStart;
  proposer.allow_creation = true;
  config.connect_timeout = 1_s;
  return config;
}

// The first record of a term always has the same length, as a server's start record has: what a former
// proposer wrote behind its own would decode as a true successor, if it were still there.
pg::RecordBuilder some_record(Random& random, bool first) {
  Bytes body(first ? 100 : random.log_uniform(1, 30'000));
  random.fill(body);
  pg::RecordBuilder record(pg::Rmgr::Xlog, 0x20, 3);
  record.main(body);
  return record;
}

Status write_in_one_term(Task& task, compute::ProposerDriver& driver, Ledger& ledger, Lsn start,
                         const std::function<bool()>& enough) {
  Random& random = task.env().random("compute.records");
  Lsn previous = ledger.records.empty() ? Lsn() : ledger.records.back().start;
  pg::WalWriter writer({4711}, start, previous);
  for (bool first = true; !enough(); first = false) {
    pg::PlacedRecord placed = writer.append(some_record(random, first));
    Lsn begin = writer.begin();
    Bytes bytes = writer.take();
    append(ledger.log, bytes);
    ledger.records.push_back(placed);
    Deadline deadline(task, 10_s);
    TRY(driver.append(task, begin, bytes));
    if (random.chance({1, 3})) continue;
    TRY(driver.wait_committed(task, placed.end));
    ledger.acknowledged = placed.end;
    ++ledger.commits;
    TRY(task.sleep(random.between(1_ms, 40_ms)));
  }
  Lsn end = kStart + ledger.log.size();
  TRY(driver.wait_committed(task, end));
  ledger.acknowledged = end;
  // Where all safekeepers live, those behind catch up.
  Deadline deadline(task, 10_s);
  while (driver.proposer().truncate() < end) TRY(task.sleep(10_ms));
  return task.sleep(1500_ms);  // they hear of the last commit
}

Status compute_main(Task& task, Env& env, Ledger& ledger, const std::function<bool()>& enough) {
  while (!enough() && ledger.broken.empty()) {
    Scope scope(task);
    compute::ProposerDriver driver(scope, env, Logger(env.log()), proposer_config(ledger),
                                   [&](Task& t, Term term, Lsn) {
                                     ledger.term = term;
                                     return t.yield();
                                   });
    driver.start();
    Result<consensus::Elected> elected = [&] {
      Deadline deadline(task, 4_s);
      return driver.elect(task);
    }();
    if (elected.ok()) {
      ++ledger.elections;
      ledger.restart(elected->start);
      if (ledger.broken.empty())
        ignore_result(write_in_one_term(task, driver, ledger, elected->start, enough));
    }
    ledger.term = std::max(ledger.term, driver.seen_term());
    TRY(driver.stop(task));
    TRY(task.sleep(env.random("compute.pause").between(10_ms, 300_ms)));
  }
  return {};
}

// All WAL from the timeline's start, as a stock reader gets it.
Result<Bytes> read_all(Task& task, const std::string& host, Lsn until) {
  Deadline deadline(task, 30_s);
  TRY_ASSIGN(auto client, wire::PgClient::connect(task, Address::tcp(host, 5454),
                                                  {{"user", "test"}, {"replication", "true"}},
                                                  {{"tenant_id", to_string(timeline_id().tenant)},
                                                   {"timeline_id", to_string(timeline_id().timeline)}}));
  TRY(client->start_copy_both(task, "START_REPLICATION PHYSICAL " + to_string(kStart)));
  Bytes all;
  while (kStart + all.size() < until) {
    TRY_ASSIGN(auto chunk, client->read_copy(task));
    if (!chunk) return Error(Code::Disconnected, "the stream ended early");
    TRY_ASSIGN(auto message, wire::parse_replication_server_message(*chunk));
    if (auto* data = std::get_if<wire::XLogData>(&message)) {
      if (data->start != kStart + all.size())
        return Error(Code::Corrupt, "a gap at " + to_string(data->start));
      append(all, data->data);
    }
  }
  return all;
}

struct Cluster {
  explicit Cluster(WorldOptions options) : world(options) {
    world.add_machine("broker").boot(broker_main);
    for (int i = 1; i <= kSafekeepers; ++i)
      world.add_machine(node_name(i)).boot([i](Task& task, Env& env) {
        return safekeeper_main(task, env, i);
      });
    for (const auto& machine : world.machines()) machine->supervise(500_ms);
    compute = &world.add_machine("compute");
    compute->boot([](Task& task, Env&) -> Status {
      for (;;) TRY(task.sleep(3600_s));
    });
  }

  // Runs the compute until `enough`; false where that took longer than `limit`.
  bool write(const std::function<bool()>& enough, Duration limit) {
    Status done = world.run(
        *compute, [&](Task& task) { return compute_main(task, task.env(), ledger, enough); }, limit);
    return done.ok() && ledger.broken.empty();
  }

  // Each safekeeper has exactly what was acknowledged.
  void check_all() {
    for (int i = 1; i <= kSafekeepers; ++i) {
      Status same = world.run(*compute, [&](Task& task) -> Status {
        TRY_ASSIGN(Bytes wal, read_all(task, node_name(i), ledger.acknowledged));
        if (!std::equal(wal.begin(), wal.begin() + static_cast<ptrdiff_t>(ledger.acknowledged - kStart),
                        ledger.log.begin()))
          return Error(Code::Corrupt, "other WAL than was acknowledged");
        return {};
      });
      EXPECT_TRUE(same.ok()) << node_name(i) << ": " << same.error().to_string();
    }
  }

  World world;
  Machine* compute = nullptr;
  Ledger ledger;
};

TEST(WalService, CommitsAndCatchesUpAMemberThatWasAway) {
  Cluster cluster(WorldOptions{});
  Machine& third = *cluster.world.find_machine("sk3");
  EXPECT_TRUE(cluster.write([&] { return cluster.ledger.commits >= 20; }, 60_s)) << cluster.ledger.broken;
  third.power_loss();
  EXPECT_TRUE(cluster.write([&] { return cluster.ledger.commits >= 60; }, 60_s)) << cluster.ledger.broken;
  third.restart();
  EXPECT_TRUE(cluster.write([&] { return cluster.ledger.commits >= 80; }, 60_s)) << cluster.ledger.broken;
  cluster.check_all();
}

TEST(WalService, ASegmentGoesToTheObjectStoreOnceItIsFull) {
  Cluster cluster(WorldOptions{});
  EXPECT_TRUE(cluster.write([&] { return cluster.ledger.log.size() > (17u << 20); }, 600_s))
      << cluster.ledger.broken;
  cluster.world.run_for(5_s);
  int uploaded = 0;
  for (int i = 1; i <= kSafekeepers; ++i) {
    Machine& machine = *cluster.world.find_machine(node_name(i));
    Status found = cluster.world.run(machine, [&](Task& task) -> Status {
      std::string folder = "/data/store/objects/wal/" + to_string(timeline_id().tenant) + "/" +
                           to_string(timeline_id().timeline);
      auto entries = task.env().disk().list(task, folder);
      if (!entries.ok()) return {};
      for (const DirEntry& entry : *entries) uploaded += entry.name == pg::segment_file_name(1) ? 1 : 0;
      return {};
    });
    EXPECT_TRUE(found.ok());
  }
  EXPECT_GE(uploaded, 1);
  cluster.check_all();
}

class WalServiceFaults : public testing::TestWithParam<int> {};

TEST_P(WalServiceFaults, NothingAcknowledgedIsLost) {
  uint64_t commits = 0;
  uint64_t elections = 0;
  uint64_t boots = 0;
  for (int n = 0; n < 6; ++n) {
    uint64_t seed = static_cast<uint64_t>(GetParam() * 6 + n + 1);
    SCOPED_TRACE("seed " + std::to_string(seed));
    Cluster cluster(WorldOptions::drawn(seed));
    faults::DrawOptions draw;
    draw.nodes = {"sk1", "sk2", "sk3", "broker"};
    draw.horizon = 20_s;
    Random random = cluster.world.stream("plan");
    faults::Plan plan = faults::draw_plan(random, draw);
    FaultDriver faults(cluster.world, plan);
    faults.start();
    bool over = cluster.write([&] { return cluster.world.now() >= 20_s; }, 60_s);
    faults.heal();
    // Every machine that runs with a disk error behind it starts anew.
    for (int i = 1; i <= kSafekeepers; ++i) {
      Machine& machine = *cluster.world.find_machine(node_name(i));
      boots += machine.boots();
      machine.power_loss();
      machine.restart();
    }
    uint64_t before = cluster.ledger.commits;
    EXPECT_TRUE(cluster.write([&] { return cluster.ledger.commits >= before + 5; }, 60_s))
        << over << cluster.ledger.broken;
    cluster.check_all();
    commits += cluster.ledger.commits;
    elections += cluster.ledger.elections;
    if (testing::Test::HasFailure()) {
      std::cout << faults::print(plan);
      for (const std::string& line : cluster.world.log_lines()) std::cout << line << "\n";
      return;
    }
  }
  EXPECT_GT(commits, 300u);
  EXPECT_GT(elections, 11u);
  EXPECT_GE(boots, 18u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, WalServiceFaults, testing::Range(0, 4));

}  // namespace
}  // namespace argon::sim
