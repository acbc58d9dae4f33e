// A safekeeper in a plain world, a client of its management interface, and one that writes WAL. For tests.

#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/compute/proposer_driver.h"
#include "core/http/client.h"
#include "core/pg/wal_builder.h"
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
    machine.boot([id, bucket, config = base_](Task& task, Env& env) mutable {
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
  safekeeper::SafekeeperConfig base_;  // of what is booted next
};

// With a timeline that has the one safekeeper as its member.
class WrittenSafekeeper : public OneSafekeeper {
 protected:
  static inline const std::string kTenant = std::string(32, 'a');
  static inline const std::string kTimeline = std::string(32, '1');
  static inline const std::string kPath = "/v1/tenant/" + kTenant + "/timeline/" + kTimeline;
  static inline const std::string kFolder = "/data/" + kTenant + "/" + kTimeline;
  static constexpr Lsn kStart{0x1000028};

  // In a term of its own: `records` of `size` bytes that are committed; then, with `end_segment`, one that
  // ends the segment.
  Status try_write(int records, size_t size = 1000, bool end_segment = false) {
    return world_.run(client_, [&](Task& task) -> Status {
      Env& env = task.env();
      Scope scope(task);
      compute::ProposerDriver driver(scope, env, Logger(env.log()), proposer(),
                                     [this](Task& t, Term term, Lsn) {
                                       term_ = term;
                                       return t.yield();
                                     });
      driver.start();
      Status done = propose(task, driver, records, size, end_segment);
      TRY(driver.stop(task));
      TRY(scope.stop(task));
      return done;
    });
  }
  void write(int records, size_t size = 1000, bool end_segment = false) {
    Status done = try_write(records, size, end_segment);
    ASSERT_TRUE(done.ok()) << done.error().to_string();
  }
  nlohmann::json status() {
    auto answer = call("GET", kPath);
    EXPECT_TRUE(answer.ok()) << answer.error().to_string();
    return answer.ok() ? *answer : nlohmann::json::object();
  }

  Term term_;
  Lsn last_record_;
  Lsn end_;  // of what is committed

 private:
  compute::ProposerDriverConfig proposer() const {
    compute::ProposerDriverConfig config;
    config.proposer.id = {*parse_tenant_id(kTenant), *parse_timeline_id(kTimeline)};
    config.proposer.configuration.generation = consensus::ConfigurationGeneration(1);
    config.proposer.configuration.members = {{NodeId(1), "sk", 5454}};
    config.proposer.server = {150013, 4711, pg::kWalSegmentSize};
    config.proposer.min_term = term_;
    config.proposer.bootstrap_start = kStart;
    config.proposer.allow_creation = true;
    return config;
  }
  Status propose(Task& task, compute::ProposerDriver& driver, int records, size_t size, bool end_segment) {
    Deadline deadline(task, Duration::seconds(10));
    TRY_ASSIGN(consensus::Elected elected, driver.elect(task));
    pg::WalWriter writer({4711}, elected.start, last_record_);
    for (int i = 0; i < records + (end_segment ? 1 : 0); i++) {
      pg::RecordBuilder record(pg::Rmgr::Xlog, 0x20, 3);
      record.main(Bytes(size, static_cast<uint8_t>(1 + i)));
      last_record_ = i < records ? writer.append(record).start : writer.append_switch().start;
      Lsn begin = writer.begin();
      end_ = writer.position();
      TRY(driver.append(task, begin, writer.take()));
    }
    return driver.finish(task);
  }
};

}  // namespace argon::sim
