// For tests: a whole small cluster in a made-up world: broker, three safekeepers, pageserver, model computes
// that write real WAL and compare every page they read.

#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/broker/broker.h"
#include "core/compute/model/model_compute.h"
#include "core/env/io.h"
#include "core/http/client.h"
#include "core/objstore/local_store.h"
#include "core/pageserver/pageserver.h"
#include "core/pg/made_datadir.h"
#include "core/safekeeper/safekeeper.h"
#include "sim/machine.h"

namespace argon::sim {

using namespace argon::literals;
using nlohmann::json;

inline constexpr int kSafekeepers = 3;
inline const TenantTimelineId kMain{{{0x11}}, {{0x22}}};
inline const Address kPages = Address::tcp("pageserver", 64000);
inline const Address kHttp = Address::tcp("pageserver", 9898);

inline std::string node_name(int i) {
  return "sk" + std::to_string(i);
}

// What a model compute told.
struct Events final : compute::ModelEvents {
  void elected(const std::string&, Term, Lsn) override {}
  void started(const std::string&, Term) override { starts++; }
  void commit_acknowledged(const std::string&, pg::Xid, Lsn) override { commits++; }
  void page_checked(const std::string&, const pg::BlockTag&, Lsn) override { pages++; }
  void violated(const std::string&, const std::string& what) override { violations += what + "\n"; }
  uint64_t starts = 0, commits = 0, pages = 0;
  std::string violations;
};

class Cluster {
 public:
  explicit Cluster(uint64_t seed, bool checksums = false)
      : world_(options(seed)), made_(made(checksums)), model_(made_.end) {
    world_.add_machine("broker").boot([](Task& task, Env& env) {
      broker::BrokerConfig config;
      config.listen = Address::tcp("0.0.0.0", 50051);
      config.listen_http = Address::tcp("0.0.0.0", 50052);
      return broker::run_broker(task, env, config);
    });
    for (int i = 1; i <= kSafekeepers; i++) {
      safekeepers_.push_back(&world_.add_machine(node_name(i)));
      safekeepers_.back()->boot([i](Task& task, Env& env) {
        safekeeper::SafekeeperConfig config;
        config.id = NodeId(static_cast<uint64_t>(i));
        config.data_dir = "/data/wal";
        config.listen_wal = Address::tcp("0.0.0.0", 5454);
        config.listen_http = Address::tcp("0.0.0.0", 7676);
        config.advertise_wal = node_name(i) + ":5454";
        config.advertise_http = node_name(i) + ":7676";
        config.broker = Address::tcp("broker", 50051);
        return safekeeper::run_safekeeper(task, env, config);
      });
    }
    pageserver_ = &world_.add_machine("pageserver");
    pageserver_->boot([this](Task& task, Env& env) { return pageserver_main(task, env); });
    pageserver_->supervise(1_s);
    client_ = &world_.add_machine("client");
    client_->boot([](Task& task, Env&) { return task.sleep(Duration::seconds(100'000)); });
  }

  Result<json> call(const std::string& method, const std::string& target, const json& body) {
    json answer;
    Status done = world_.run(*client_, [&](Task& task) -> Status {
      Deadline deadline(task, 60_s);
      TRY_ASSIGN(answer, http::fetch_json(task, kHttp, method, target, body));
      return {};
    });
    if (!done.ok()) return done.error();
    return answer;
  }
  Status create_main() { return create(kMain); }
  Status create(const TenantTimelineId& id) {
    world_.run_for(1_s);
    return call("POST", timelines(),
                {{"new_timeline_id", to_string(id.timeline)}, {"import_datadir", "/template"}})
                   .ok()
               ? Status()
               : Status(Error(Code::Io, "not created"));
  }
  std::string timelines() const { return "/v1/tenant/" + to_string(kMain.tenant) + "/timeline"; }
  std::string main_target() const { return timelines() + "/" + to_string(kMain.timeline); }

  void start_compute() { compute_ = &start_compute("compute", kMain, model_, events_); }
  // `model` and `events` outlive the cluster's world.
  Machine& start_compute(const std::string& name, const TenantTimelineId& id, compute::ReferenceModel& model,
                         Events& events) {
    Machine& machine = world_.add_machine(name);
    machine.boot([this, name, id, &model, &events](Task& task, Env& env) {
      compute::ModelComputeConfig config;
      config.name = name;
      config.id = id;
      config.pageserver = kPages;
      config.safekeepers.generation = consensus::ConfigurationGeneration(1);
      for (int i = 1; i <= kSafekeepers; i++)
        config.safekeepers.members.push_back({NodeId(static_cast<uint64_t>(i)), node_name(i), 5454});
      config.bootstrap_start = made_.end;
      config.allow_creation = true;
      config.directory = "/data/compute";
      config.think = 20_ms;
      config.read_pause = 10_ms;
      return compute::run_model_compute(task, env, config, model, events);
    });
    machine.supervise(1_s);
    return machine;
  }
  Result<size_t> verify(const TenantTimelineId& id, const compute::ReferenceModel& model, Lsn lsn) {
    return verify_from(*client_, kPages, id, model, lsn);
  }
  Result<size_t> verify_from(Machine& from, const Address& pages_at, const TenantTimelineId& id,
                             const compute::ReferenceModel& model, Lsn lsn) {
    size_t pages = 0;
    Status done = world_.run(from, [&](Task& task) -> Status {
      Deadline deadline(task, 60_s);
      TRY_ASSIGN(pages, compute::verify_timeline(task, task.env(), pages_at, id, model, lsn));
      return {};
    });
    if (!done.ok()) return done.error();
    return pages;
  }

  World world_;
  pg::MadeDataDir made_;
  compute::ReferenceModel model_;
  Events events_;
  std::vector<Machine*> safekeepers_;
  Machine* pageserver_ = nullptr;
  Machine* client_ = nullptr;
  Machine* compute_ = nullptr;
  bool empty_disk_ = false;              // at the next start
  std::optional<Address> listen_local_;  // from the next start on

 private:
  static pg::MadeDataDir made(bool checksums) {
    pg::MadeOptions options;
    options.data_checksums = checksums;
    return pg::make_datadir(options);
  }
  static WorldOptions options(uint64_t seed) {
    WorldOptions options;
    options.seed = seed;
    return options;
  }
  Status pageserver_main(Task& task, Env& env) {
    if (empty_disk_) TRY(remove_tree(task, env.disk(), "/data"));
    empty_disk_ = false;
    for (const pg::MadeFile& file : made_.files) {
      std::string path = "/template/" + file.path;
      TRY(make_dirs(task, env.disk(), parent_path(path)));
      if (!env.disk().stat(task, path).ok()) TRY(write_file_durably(task, env.disk(), path, file.bytes));
    }
    pageserver::PageserverConfig config;
    config.data_dir = "/data";
    config.listen_pg = Address::tcp("0.0.0.0", 64000);
    config.listen_local = listen_local_;
    config.listen_http = Address::tcp("0.0.0.0", 9898);
    config.broker = Address::tcp("broker", 50051);
    config.checkpoint_distance = 20'000;
    config.timeline.store.compaction_threshold = 3;
    config.timeline.store.compaction_target = 30'000;
    config.timeline.store.compress = false;  // so that few pages make a layer
    config.timeline.store.image_threshold = 2;
    config.timeline.compaction_period = 500_ms;
    config.timeline.checkpoint_timeout = 2_s;
    TRY_ASSIGN(auto store, objstore::LocalStore::open(task, env.disk(), "/store", "pageserver"));
    return pageserver::run_pageserver(task, env, config, *store);
  }
};

inline void expect_quiet(const Cluster& cluster) {
  EXPECT_EQ(cluster.events_.violations, "");
  if (cluster.events_.violations.empty() && !testing::Test::HasFailure()) return;
  for (const std::string& line : cluster.world_.log_lines()) std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace argon::sim
