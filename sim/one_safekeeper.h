// A safekeeper in a plain world, and a client of its management interface. For tests.

#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/http/client.h"
#include "core/safekeeper/safekeeper.h"
#include "sim/bucket.h"
#include "sim/machine.h"

namespace argon::sim {

class OneSafekeeper : public testing::Test {
 protected:
  OneSafekeeper()
      : world_(WorldOptions{}), sk_(world_.add_machine("sk")), client_(world_.add_machine("client")) {
    boot();
    client_.boot([](Task& task, Env&) -> Status {
      for (;;) TRY(task.sleep(Duration::seconds(3600)));
    });
  }

  void boot() { boot(sk_, NodeId(1)); }
  // `bucket`: its object store, if any; outlives the machine.
  void boot(Machine& machine, NodeId id, Bucket* bucket = nullptr) {
    machine.boot([id, bucket](Task& task, Env& env) {
      safekeeper::SafekeeperConfig config;
      config.id = id;
      config.data_dir = "/data";
      config.listen_wal = Address::tcp("0.0.0.0", 5454);
      config.listen_http = Address::tcp("0.0.0.0", 7676);
      if (bucket == nullptr) return safekeeper::run_safekeeper(task, env, config);
      BucketStore store(*bucket, Duration::milliseconds(1));
      return safekeeper::run_safekeeper(task, env, config, &store);
    });
    world_.run_for(Duration::seconds(1));
  }
  Result<nlohmann::json> call(const std::string& method, const std::string& target,
                              const nlohmann::json& body = {}, const std::string& host = "sk") {
    Result<nlohmann::json> answer = nlohmann::json();
    Status ran = world_.run(client_, [&](Task& task) -> Status {
      Deadline deadline(task, Duration::seconds(10));
      answer = http::fetch_json(task, Address::tcp(host, 7676), method, target, body);
      return {};
    });
    EXPECT_TRUE(ran.ok());
    return answer;
  }
  // A timeline whose WAL begins at 0/1000028; `members`: {"mconf": …}.
  Result<nlohmann::json> create(const std::string& tenant, const std::string& timeline,
                                const nlohmann::json& members) {
    nlohmann::json body = members;
    body.update({{"tenant_id", tenant},
                 {"timeline_id", timeline},
                 {"pg_version", 150013},
                 {"system_id", "4711"},
                 {"start_lsn", "0/1000028"}});
    return call("POST", "/v1/tenant/timeline", body);
  }
  static nlohmann::json configuration(uint32_t generation, const std::vector<uint64_t>& members) {
    nlohmann::json list = nlohmann::json::array();
    for (uint64_t id : members) list.push_back({{"id", id}, {"host", "sk"}, {"pg_port", 5454}});
    return {{"mconf", {{"generation", generation}, {"members", list}}}};
  }

  World world_;
  Machine& sk_;
  Machine& client_;
};

}  // namespace argon::sim
