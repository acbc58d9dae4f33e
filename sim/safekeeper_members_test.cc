// What a safekeeper's management interface does when members change: raised terms, tombstones, copies.

#include "core/safekeeper/migration.h"
#include "sim/bucket.h"
#include "sim/one_safekeeper.h"

namespace argon::sim {
namespace {

using nlohmann::json;

const std::string kTenant(32, 'a');
const std::string kTimeline(32, '1');
const std::string kPath = "/v1/tenant/" + kTenant + "/timeline/" + kTimeline;

class SafekeeperMembers : public OneSafekeeper {
 protected:
  Result<json> create(const json& members) { return OneSafekeeper::create(kTenant, kTimeline, members); }
  void lose_power() {
    sk_.power_loss();
    boot();
  }
};

TEST_F(SafekeeperMembers, ATermIsRaisedAndNeverLowered) {
  ASSERT_TRUE(create(configuration(1, {1, 2, 3})).ok());
  EXPECT_EQ(call("POST", kPath + "/term_bump", {{"term", 7}})->at("term"), 7);
  EXPECT_EQ(call("POST", kPath + "/term_bump", {{"term", 3}})->at("term"), 7);
  lose_power();
  EXPECT_EQ(call("GET", kPath)->at("term"), 7);
}

TEST_F(SafekeeperMembers, WhoIsLeftOutLeavesATombstone) {
  ASSERT_TRUE(create(configuration(1, {1, 2, 3})).ok());
  ASSERT_TRUE(call("POST", kPath + "/term_bump", {{"term", 7}}).ok());
  EXPECT_TRUE(call("PUT", kPath + "/exclude", configuration(3, {1, 2})).is(Code::Invalid));
  ASSERT_TRUE(call("PUT", kPath + "/membership", configuration(4, {1, 2})).ok());
  EXPECT_TRUE(call("PUT", kPath + "/exclude", configuration(3, {2, 3})).is(Code::Stale));
  EXPECT_TRUE(call("GET", kPath).ok());

  ASSERT_TRUE(call("PUT", kPath + "/exclude", configuration(5, {2, 3})).ok());
  for (bool again : {false, true}) {
    auto gone = call("GET", kPath);
    ASSERT_TRUE(gone.is(Code::Stale));
    EXPECT_NE(gone.error().message().find("its members are g5 {2, 3}"), std::string::npos);
    EXPECT_TRUE(create(configuration(1, {1, 2, 3})).is(Code::Stale));
    EXPECT_TRUE(call("PUT", kPath + "/exclude", configuration(5, {2, 3})).ok());
    if (!again) lose_power();
  }
  world_.run_for(Duration::seconds(3));
  // It may come back under a later configuration, and has not forgotten its term.
  ASSERT_TRUE(create(configuration(6, {1, 2})).ok());
  EXPECT_EQ(call("GET", kPath)->at("term"), 7);
}

TEST_F(SafekeeperMembers, ATimelineThatNeverWasHereIsLeftOutAllTheSame) {
  ASSERT_TRUE(call("PUT", kPath + "/exclude", configuration(3, {2, 3})).ok());
  EXPECT_TRUE(create(configuration(1, {1, 2, 3})).is(Code::Stale));
}

TEST_F(SafekeeperMembers, ACopyNeedsADonor) {
  json body = configuration(2, {1, 2});
  EXPECT_TRUE(call("POST", kPath + "/pull", body).is(Code::Invalid));
  body["donors"] = json::array({"nobody:7676"});
  auto pulled = call("POST", kPath + "/pull", body);
  ASSERT_TRUE(pulled.is(Code::Unavailable));
  EXPECT_NE(pulled.error().message().find("no safekeeper to copy timeline"), std::string::npos);
  // Nothing is left behind.
  EXPECT_TRUE(call("GET", kPath).is(Code::NotFound));
  ASSERT_TRUE(create(configuration(1, {1, 2, 3})).ok());
  EXPECT_TRUE(call("POST", kPath + "/pull", body).is(Code::AlreadyExists));
}

// It has lost its disk: with the log of 2 it would vote as if it had not.
TEST_F(SafekeeperMembers, AMemberThatHasLostTheTimelineIsNotGivenItAgain) {
  Machine& other = world_.add_machine("sk2");
  boot(other, NodeId(2));
  json body = configuration(1, {1, 2});
  body.update({{"tenant_id", kTenant}, {"timeline_id", kTimeline}});
  ASSERT_TRUE(call("POST", "/v1/tenant/timeline", body, "sk2").ok());

  Bucket bucket;
  safekeeper::Migration migration;
  migration.id = {*parse_tenant_id(kTenant), *parse_timeline_id(kTimeline)};
  migration.nodes[NodeId(1)] = {{NodeId(1), "sk", 5454}, Address::tcp("sk", 7676)};
  migration.nodes[NodeId(2)] = {{NodeId(2), "sk2", 5454}, Address::tcp("sk2", 7676)};
  migration.target = {NodeId(1), NodeId(2)};
  Status done = world_.run(client_, [&](Task& task) -> Status {
    BucketStore store(bucket, Duration::milliseconds(1));
    Deadline deadline(task, Duration::seconds(20));
    return safekeeper::migrate(task, store, migration).ok() ? Status() : Error(Code::TimedOut, "gave up");
  });
  EXPECT_TRUE(done.is(Code::TimedOut));
  EXPECT_TRUE(call("GET", kPath).is(Code::NotFound));
}

TEST_F(SafekeeperMembers, AnotherDiskTakesATimelineOnlyAfterItsSafekeeperWasLeftOut) {
  Bucket bucket;
  Machine& machine = world_.add_machine("sk2");
  boot(machine, NodeId(2), &bucket);
  auto create = [&](const json& members) {
    json body = members;
    body.update({{"tenant_id", kTenant}, {"timeline_id", kTimeline}});
    return call("POST", "/v1/tenant/timeline", body, "sk2");
  };
  ASSERT_TRUE(create(configuration(1, {1, 2})).ok());
  machine.power_loss();
  boot(machine, NodeId(2), &bucket);
  EXPECT_TRUE(create(configuration(1, {1, 2})).is(Code::AlreadyExists));

  machine.power_loss();
  machine.storage().wipe();
  boot(machine, NodeId(2), &bucket);
  auto again = create(configuration(1, {1, 2}));
  ASSERT_TRUE(again.is(Code::Invalid));
  EXPECT_NE(again.error().message().find("on another disk"), std::string::npos);
  EXPECT_TRUE(call("GET", kPath, {}, "sk2").is(Code::NotFound));

  ASSERT_TRUE(call("PUT", kPath + "/exclude", configuration(3, {1}), "sk2").ok());
  world_.run_for(Duration::seconds(3));
  EXPECT_TRUE(create(configuration(5, {1, 2})).ok());
}

}  // namespace
}  // namespace argon::sim
