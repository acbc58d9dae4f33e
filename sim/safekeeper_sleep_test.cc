// Timelines that nobody uses: they sleep, keep what they said over restarts, and wake for whoever comes.

#include "core/env/io.h"
#include "sim/one_safekeeper.h"

namespace argon::sim {
namespace {

using namespace argon::literals;
using nlohmann::json;

class SafekeeperSleep : public WrittenSafekeeper {
 protected:
  void lose_power() {
    sk_.power_loss();
    boot();
  }
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
    TRY_ASSIGN(auto file, env.disk().open(task, kFolder + "/000000010000000000000001", OpenMode::ReadWrite));
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
