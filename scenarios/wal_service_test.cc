// The WAL service in a plain world: what must happen, where the scenario says what must not.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/objstore/keys.h"
#include "core/pg/wal_page.h"
#include "scenarios/wal_service_parts.h"

namespace argon::scenarios {
namespace {

using namespace argon::literals;

class WalService : public testing::Test {
 protected:
  // Runs the compute until `enough`.
  void write(const std::function<bool()>& enough, Duration limit) {
    Status done =
        world.run(cluster.compute(), [&](Task& task) { return cluster.write(task, enough); }, limit);
    EXPECT_TRUE(done.ok()) << done.error().to_string();
    EXPECT_EQ(cluster.ledger().broken, "");
  }

  void check_all() {
    for (sim::Machine* machine : cluster.safekeepers()) {
      Status same =
          world.run(cluster.compute(), [&](Task& task) { return cluster.check(task, machine->name()); });
      EXPECT_TRUE(same.ok()) << machine->name() << ": " << same.error().to_string();
    }
  }

  sim::World world{sim::WorldOptions{}};
  WalCluster cluster{world};
};

TEST_F(WalService, CommitsAndCatchesUpAMemberThatWasAway) {
  sim::Machine& third = *cluster.safekeepers()[2];
  write([&] { return cluster.ledger().commits >= 20; }, 60_s);
  third.power_loss();
  write([&] { return cluster.ledger().commits >= 60; }, 60_s);
  third.restart();
  write([&] { return cluster.ledger().commits >= 80; }, 60_s);
  check_all();
}

TEST_F(WalService, AMemberThatWasAwayIsFilledUpByItsPeersWithoutACompute) {
  sim::Machine& third = *cluster.safekeepers()[2];
  write([&] { return cluster.ledger().commits >= 20; }, 60_s);
  third.power_loss();
  write([&] { return cluster.ledger().commits >= 60; }, 60_s);
  third.restart();
  world.run_for(10_s);
  check_all();
}

TEST_F(WalService, AFullDiskRefusesWalAndServesReaders) {
  sim::Machine& third = *cluster.safekeepers()[2];
  write([&] { return cluster.ledger().commits >= 20; }, 60_s);
  Lsn before = cluster.ledger().acknowledged;
  third.faults.begin(faults::Kind::NoSpace, 1);
  write([&] { return cluster.ledger().commits >= 60; }, 60_s);
  Result<nlohmann::json> status = nlohmann::json();
  Status read = world.run(cluster.compute(), [&](Task& task) -> Status {
    status = cluster.status(task, third.name());
    return cluster.read(task, third.name(), before);
  });
  EXPECT_TRUE(read.ok()) << read.error().to_string();
  ASSERT_TRUE(status.ok()) << status.error().to_string();
  EXPECT_FALSE(status->contains("failure")) << status->dump();
  ASSERT_TRUE(status->contains("wal_refused")) << status->dump();
  EXPECT_NE(status->at("wal_refused").dump().find("No space left on device"), std::string::npos);

  third.faults.end(faults::Kind::NoSpace);
  write([&] { return cluster.ledger().commits >= 80; }, 60_s);
  EXPECT_EQ(third.boots(), 1u);
  check_all();
}

TEST_F(WalService, WhatADeadComputeHadAcknowledgedIsKnownToBeCommitted) {
  cluster.compute().spawn("writer", [this](Task& task) { return cluster.write(task, [] { return false; }); });
  EXPECT_TRUE(world.run_until([&] { return cluster.ledger().commits >= 20; }, 60_s));
  cluster.compute().power_loss();
  world.run_for(10_s);
  cluster.compute().restart();
  check_all();
}

TEST_F(WalService, ASegmentGoesToTheObjectStoreOnceItIsFull) {
  write([&] { return cluster.ledger().log.size() > (17u << 20); }, 600_s);
  world.run_for(5_s);
  std::string key = objstore::wal_prefix(WalCluster::timeline_id()) + pg::segment_file_name(1);
  const sim::Blob* segment = cluster.store().find(key);
  ASSERT_NE(segment, nullptr);
  EXPECT_EQ(segment->size(), pg::kWalSegmentSize);
  check_all();
}

}  // namespace
}  // namespace argon::scenarios
