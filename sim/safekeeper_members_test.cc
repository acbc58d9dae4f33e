// What a safekeeper's management interface does when members change: raised terms, tombstones, copies.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "core/safekeeper/safekeeper.h"
#include "sim/machine.h"

namespace argon::sim {
namespace {

using namespace argon::literals;
using nlohmann::json;

const std::string kTenant(32, 'a');
const std::string kTimeline(32, '1');
const std::string kPath = "/v1/tenant/" + kTenant + "/timeline/" + kTimeline;

Status safekeeper_main(Task& task, Env& env) {
  safekeeper::SafekeeperConfig config;
  config.id = NodeId(1);
  config.data_dir = "/data";
  config.listen_wal = Address::tcp("0.0.0.0", 5454);
  config.listen_http = Address::tcp("0.0.0.0", 7676);
  return safekeeper::run_safekeeper(task, env, config);
}

json configuration(uint32_t generation, const std::vector<uint64_t>& members) {
  json list = json::array();
  for (uint64_t id : members) list.push_back({{"id", id}, {"host", "sk"}, {"pg_port", 5454}});
  return {{"mconf", {{"generation", generation}, {"members", list}}}};
}

class SafekeeperMembers : public testing::Test {
 protected:
  SafekeeperMembers()
      : world_(WorldOptions{}), sk_(world_.add_machine("sk")), client_(world_.add_machine("client")) {
    sk_.boot(safekeeper_main);
    client_.boot([](Task& task, Env&) -> Status {
      for (;;) TRY(task.sleep(3600_s));
    });
    world_.run_for(1_s);
  }

  Result<json> call(const std::string& method, const std::string& target, const json& body = {}) {
    Result<json> answer = json();
    Status ran = world_.run(client_, [&](Task& task) -> Status {
      Deadline deadline(task, 10_s);
      answer = http::fetch_json(task, Address::tcp("sk", 7676), method, target, body);
      return {};
    });
    EXPECT_TRUE(ran.ok());
    return answer;
  }
  Result<json> create(const json& members) {
    json body = members;
    body.update({{"tenant_id", kTenant},
                 {"timeline_id", kTimeline},
                 {"pg_version", 150013},
                 {"system_id", "4711"},
                 {"start_lsn", "0/1000028"}});
    return call("POST", "/v1/tenant/timeline", body);
  }
  void lose_power() {
    sk_.power_loss();
    sk_.boot(safekeeper_main);
    world_.run_for(1_s);
  }

  World world_;
  Machine& sk_;
  Machine& client_;
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
  world_.run_for(3_s);
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

}  // namespace
}  // namespace argon::sim
