// Timelines that nobody uses: they sleep, keep what they said over restarts, and wake for whoever comes.

#include "core/compute/proposer_driver.h"
#include "core/env/io.h"
#include "core/pg/wal_builder.h"
#include "sim/one_safekeeper.h"

namespace argon::sim {
namespace {

using namespace argon::literals;
using nlohmann::json;

const std::string kTenant(32, 'a');
const std::string kTimeline(32, '1');
const std::string kPath = "/v1/tenant/" + kTenant + "/timeline/" + kTimeline;
const std::string kSegment = "/data/" + kTenant + "/" + kTimeline + "/000000010000000000000001";

class SafekeeperSleep : public OneSafekeeper {
 protected:
  // In a term of its own: `records` that are committed.
  void write(int records) {
    Status done = world_.run(client_, [&](Task& task) -> Status {
      Env& env = task.env();
      Scope scope(task);
      compute::ProposerDriverConfig config;
      config.proposer.id = {*parse_tenant_id(kTenant), *parse_timeline_id(kTimeline)};
      config.proposer.configuration.generation = consensus::ConfigurationGeneration(1);
      config.proposer.configuration.members = {{NodeId(1), "sk", 5454}};
      config.proposer.server = {150013, 4711, pg::kWalSegmentSize};
      config.proposer.min_term = term_;
      config.proposer.bootstrap_start = Lsn(0x1000028);
      config.proposer.allow_creation = true;
      compute::ProposerDriver driver(scope, env, Logger(env.log()), config, [this](Task& t, Term term, Lsn) {
        term_ = term;
        return t.yield();
      });
      driver.start();
      TRY_ASSIGN(consensus::Elected elected, driver.elect(task));
      pg::WalWriter writer({4711}, elected.start, last_record_);
      for (int i = 0; i < records; i++) {
        pg::RecordBuilder record(pg::Rmgr::Xlog, 0x20, 3);
        record.main(Bytes(1000));
        last_record_ = writer.append(record).start;
        Lsn begin = writer.begin();
        TRY(driver.append(task, begin, writer.take()));
      }
      TRY(driver.finish(task));
      return driver.stop(task);
    });
    ASSERT_TRUE(done.ok()) << done.error().to_string();
  }
  json status() {
    auto answer = call("GET", kPath);
    EXPECT_TRUE(answer.ok()) << answer.error().to_string();
    return answer.ok() ? *answer : json::object();
  }
  void lose_power() {
    sk_.power_loss();
    boot();
  }

  Term term_;
  Lsn last_record_;
};

TEST_F(SafekeeperSleep, WhatNobodyUsesFallsAsleepAndWakesForAProposer) {
  write(5);
  json before = status();
  EXPECT_FALSE(before.at("asleep"));
  world_.run_for(65_s);
  json asleep = status();
  EXPECT_TRUE(asleep.at("asleep"));
  for (const char* what : {"term", "flush_lsn", "commit_lsn", "acceptor_state"})
    EXPECT_EQ(asleep.at(what), before.at(what)) << what;
  write(5);
  EXPECT_GT(*parse_lsn(status().at("flush_lsn").get<std::string>()),
            *parse_lsn(before.at("flush_lsn").get<std::string>()));
}

TEST_F(SafekeeperSleep, OneThatWasClosedIsKnownAtTheNextStartWithoutALook) {
  write(5);
  world_.run_for(65_s);
  json before = status();
  lose_power();
  EXPECT_EQ(status(), before);
  // Also after WAL came, and a crash caught it.
  write(5);
  json written = status();
  lose_power();
  json after = status();
  EXPECT_EQ(after.at("flush_lsn"), written.at("flush_lsn"));
  write(1);
}

TEST_F(SafekeeperSleep, AnOrderlyStopClosesAll) {
  write(5);
  sk_.ask_to_stop();
  world_.run_for(5_s);
  ASSERT_TRUE(sk_.exit_status() && sk_.exit_status()->ok());
  boot();
  EXPECT_TRUE(status().at("asleep"));
}

TEST_F(SafekeeperSleep, ClosedWalThatIsGoneIsFoundWhenItIsUsed) {
  write(5);
  world_.run_for(65_s);
  sk_.power_loss();
  sk_.boot([&](Task& task, Env& env) -> Status {
    TRY_ASSIGN(auto file, env.disk().open(task, kSegment, OpenMode::ReadWrite));
    Bytes zeros(512);
    TRY(write_all_at(task, *file, 4096, zeros));
    return file->fdatasync(task);
  });
  world_.run_for(1_s);
  boot();
  EXPECT_TRUE(status().at("asleep"));
  auto used = call("GET", kPath + "/wal_chain");
  ASSERT_FALSE(used.ok());
  EXPECT_NE(used.error().message().find("is not served"), std::string::npos) << used.error().message();
  EXPECT_TRUE(status().contains("failure"));
}

}  // namespace
}  // namespace argon::sim
