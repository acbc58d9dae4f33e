// Location modes of a tenant, by the management interface of one pageserver and of two over one object store.

#include <gmock/gmock.h>

#include "core/objstore/keys.h"
#include "core/pageserver/heatmap.h"
#include "core/pageserver/location.h"
#include "sim/bucket.h"
#include "sim/small_cluster.h"

namespace argon::sim {
namespace {

using pageserver::Claim;
using pageserver::LocationMode;

const std::string kTenant = "/v1/tenant/" + to_string(kMain.tenant);

TEST(LocationFormat, ReadsWhatItWrites) {
  pageserver::Location location{LocationMode::AttachedStale, Generation(7), Generation(5)};
  Bytes bytes = pageserver::encode_location(location);
  EXPECT_EQ(*pageserver::decode_location(bytes, "here"), location);
  for (size_t i = 0; i < bytes.size(); i++) {
    Bytes other = bytes;
    other[i] ^= 1;
    EXPECT_FALSE(pageserver::decode_location(other, "here").ok()) << i;
    EXPECT_FALSE(pageserver::decode_location(ByteView(bytes).first(i), "here").ok()) << i;
  }
  Claim claim{NodeId(3), 0xfedcba9876543210, LocationMode::AttachedMulti, Generation(9)};
  EXPECT_EQ(pageserver::parse_claim(pageserver::claim_text(claim)), claim);
  for (const char* other :
       {"claimed", "", "[]", "{}", R"({"pageserver":3,"life":"x","mode":"AttachedMulti"})"})
    EXPECT_EQ(pageserver::parse_claim(other).pageserver, NodeId()) << other;
}

// Two pageservers, "pageserver" and "other"; no faults.
class TwoPageservers : public testing::Test {
 protected:
  TwoPageservers() : world_(WorldOptions()), made_(pg::make_datadir({})) {
    for (uint64_t number : {1, 2}) {
      Machine& machine = world_.add_machine(number == 1 ? "pageserver" : "other");
      machine.boot([this, number](Task& task, Env& env) { return run_one(task, env, number); });
      machines_.push_back(&machine);
    }
    client_ = &world_.add_machine("client");
    client_->boot([](Task& task, Env&) { return task.sleep(Duration::seconds(100'000)); });
    world_.run_for(1_s);
    EXPECT_TRUE(call(1, "POST", "/v1/tenant", {{"new_tenant_id", to_string(kMain.tenant)}}).ok());
    EXPECT_TRUE(call(1, "POST", kTenant + "/timeline",
                     {{"new_timeline_id", to_string(kMain.timeline)}, {"import_datadir", "/template"}})
                    .ok());
  }

  Result<json> call(int number, const std::string& method, const std::string& target, const json& body) {
    json answer;
    Status done = world_.run(*client_, [&](Task& task) -> Status {
      Deadline deadline(task, 60_s);
      Address address = Address::tcp(number == 1 ? "pageserver" : "other", 9898);
      TRY_ASSIGN(answer, http::fetch_json(task, address, method, target, body));
      return {};
    });
    if (!done.ok()) return done.error();
    return answer;
  }
  Result<json> put(int number, const std::string& mode, std::optional<uint32_t> generation = {}) {
    json body{{"mode", mode}};
    if (generation) body["generation"] = *generation;
    return call(number, "PUT", kTenant + "/location_config?flush_ms=2000", body);
  }
  // "MODE GENERATION"; the code's name after an error.
  std::string at(int number) { return text(call(number, "GET", kTenant + "/location_config", nullptr)); }
  static std::string text(const Result<json>& answer) {
    if (!answer.ok()) return std::string(to_string(answer.error().code()));
    return answer->at("mode").get<std::string>() + " " + std::to_string(answer->at("generation").get<int>());
  }
  Result<json> branch(int number, uint8_t id) {
    TimelineId branch{{id}};
    return call(
        number, "POST", kTenant + "/timeline",
        {{"new_timeline_id", to_string(branch)}, {"ancestor_timeline_id", to_string(kMain.timeline)}});
  }
  void restart(int number, bool empty_disk = false) {
    Machine& machine = *machines_[static_cast<size_t>(number - 1)];
    machine.power_loss();
    if (empty_disk) machine.storage().wipe();
    machine.restart();
    world_.run_for(3_s);
  }
  int64_t metric(int number, const std::string& name) {
    std::string page;
    Status done = world_.run(*client_, [&](Task& task) -> Status {
      Address address = Address::tcp(number == 1 ? "pageserver" : "other", 9898);
      http::ClientRequest request;
      request.target = "/metrics";
      TRY_ASSIGN(http::Response response, http::fetch(task, address, request));
      page = response.body;
      return {};
    });
    size_t at = page.find("\n" + name + " ");
    return done.ok() && at != std::string::npos ? std::stoll(page.substr(at + name.size() + 2)) : -1;
  }
  bool has_files(int number) {
    return machines_[static_cast<size_t>(number - 1)]->storage().find("/data/tenants/" +
                                                                      to_string(kMain.tenant)) != nullptr;
  }

  World world_;
  pg::MadeDataDir made_;
  Bucket bucket_;
  std::vector<Machine*> machines_;
  Machine* client_ = nullptr;

 private:
  Status run_one(Task& task, Env& env, uint64_t number) {
    for (const pg::MadeFile& file : made_.files) {
      std::string path = "/template/" + file.path;
      TRY(make_dirs(task, env.disk(), parent_path(path)));
      if (!env.disk().stat(task, path).ok()) TRY(write_file_durably(task, env.disk(), path, file.bytes));
    }
    pageserver::PageserverConfig config;
    config.id = NodeId(number);
    config.data_dir = "/data";
    config.listen_pg = Address::tcp("0.0.0.0", 64000);
    config.listen_http = Address::tcp("0.0.0.0", 9898);
    BucketStore store(bucket_, 1_ms);
    return pageserver::run_pageserver(task, env, config, store);
  }
};

TEST_F(TwoPageservers, EachModeComesBackAtAStart) {
  EXPECT_EQ(at(1), "AttachedSingle 1");
  EXPECT_EQ(at(2), "not found");
  restart(1);
  EXPECT_EQ(at(1), "AttachedSingle 2");
  EXPECT_EQ(text(put(1, "AttachedMulti")), "AttachedMulti 2");
  EXPECT_EQ(text(put(1, "AttachedMulti", 2)), "AttachedMulti 2");
  restart(1);
  EXPECT_EQ(at(1), "AttachedMulti 3");
  EXPECT_EQ(text(put(1, "AttachedStale", 3)), "AttachedStale 3");
  restart(1);
  EXPECT_EQ(at(1), "AttachedStale 3");
  EXPECT_TRUE(call(1, "GET", kTenant + "/timeline/" + to_string(kMain.timeline), nullptr).ok());
  EXPECT_EQ(text(put(1, "AttachedSingle")), "AttachedSingle 4");
  EXPECT_EQ(text(put(1, "Secondary")), "Secondary 5");
  EXPECT_TRUE(call(1, "GET", kTenant, nullptr).is(Code::NotFound));
  restart(1);
  EXPECT_EQ(at(1), "Secondary 5");
  EXPECT_EQ(text(put(1, "AttachedSingle", 9)), "AttachedSingle 9");
  EXPECT_TRUE(call(1, "GET", kTenant + "/timeline/" + to_string(kMain.timeline), nullptr).ok());
  EXPECT_EQ(text(put(1, "Detached")), "Detached 10");
  world_.run_for(2_s);
  EXPECT_FALSE(has_files(1));
  for (bool empty : {false, true}) {
    restart(1, empty);
    EXPECT_EQ(at(1), "not found");
  }
  EXPECT_EQ(text(put(1, "Detached")), "Detached 0");
  EXPECT_EQ(text(put(2, "AttachedSingle")), "AttachedSingle 11");
  EXPECT_TRUE(branch(2, 0x33).ok());
}

TEST_F(TwoPageservers, ALostDiskComesBackAsTheClaimsSay) {
  restart(1, true);
  EXPECT_EQ(at(1), "AttachedSingle 2");
  EXPECT_EQ(text(put(1, "AttachedMulti", 5)), "AttachedMulti 5");
  restart(1, true);
  EXPECT_EQ(at(1), "AttachedMulti 6");
  EXPECT_EQ(text(put(1, "AttachedMulti", 5)), "AttachedMulti 6") << "asked for before the start";
  EXPECT_EQ(text(put(2, "AttachedSingle")), "AttachedSingle 7");
  restart(1, true);
  EXPECT_EQ(at(1), "not found");
}

TEST_F(TwoPageservers, WrongTransitionsAreConflicts) {
  EXPECT_EQ(text(put(2, "AttachedStale")), "already exists");
  EXPECT_EQ(text(put(2, "AttachedMulti", 1)), "already exists");
  EXPECT_EQ(text(put(1, "AttachedStale", 2)), "already exists");
  EXPECT_EQ(text(put(2, "AttachedMulti", 4)), "AttachedMulti 4");
  EXPECT_EQ(text(put(1, "AttachedSingle", 1)), "already exists");
  EXPECT_EQ(text(put(1, "AttachedSingle", 3)), "already exists");
  EXPECT_EQ(text(put(1, "AttachedSingle", 4)), "already exists");
  EXPECT_EQ(text(put(2, "AttachedMulti", 3)), "already exists");
  auto refused = put(1, "AttachedSingle", 4);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("4 was claimed, by pageserver 2"));
  auto unknown = put(1, "Attached");
  EXPECT_TRUE(unknown.is(Code::Invalid));
  EXPECT_THAT(unknown.error().message(), testing::HasSubstr("AttachedSingle, AttachedMulti"));
  auto nobody =
      call(1, "PUT", "/v1/tenant/" + std::string(32, '9') + "/location_config", {{"mode", "Secondary"}});
  EXPECT_TRUE(nobody.is(Code::NotFound));
  EXPECT_TRUE(call(1, "POST", "/v1/tenant", {{"new_tenant_id", to_string(kMain.tenant)}}).ok());
  EXPECT_EQ(text(put(1, "Detached")), "Detached 4");
  auto made = call(1, "POST", "/v1/tenant", {{"new_tenant_id", to_string(kMain.tenant)}});
  EXPECT_TRUE(made.is(Code::AlreadyExists));
}

TEST_F(TwoPageservers, StaleUploadsNothingAndMultiRemovesNothing) {
  EXPECT_EQ(text(put(1, "AttachedStale")), "AttachedStale 1");
  uint64_t version = bucket_.version();
  EXPECT_TRUE(branch(1, 0x44).is(Code::Stale));
  EXPECT_TRUE(call(1, "PUT", kTenant + "/config", {{"gc_period", "10s"}}).is(Code::Stale));
  std::string main = kTenant + "/timeline/" + to_string(kMain.timeline);
  EXPECT_TRUE(call(1, "PUT", main + "/checkpoint", nullptr).is(Code::Stale));
  EXPECT_TRUE(call(1, "PUT", main + "/do_gc", nullptr).is(Code::Unavailable));
  EXPECT_TRUE(call(1, "PUT", main + "/lsn_lease", {{"lsn", to_string(made_.end)}}).is(Code::Stale));
  EXPECT_TRUE(call(1, "DELETE", main, nullptr).is(Code::Stale));
  world_.run_for(30_s);
  EXPECT_EQ(bucket_.version(), version);

  EXPECT_EQ(text(put(2, "AttachedMulti")), "AttachedMulti 2");
  size_t objects = bucket_.size();
  // Each makes the index before it garbage.
  for (uint8_t i = 0; i < 4; i++) EXPECT_TRUE(branch(2, static_cast<uint8_t>(0x50 + i)).ok());
  for (int i = 0; i < 3; i++)
    EXPECT_TRUE(call(2, "PUT", kTenant + "/config", {{"gc_horizon", 1000 + i}}).ok());
  EXPECT_TRUE(call(2, "DELETE", main, nullptr).is(Code::Stale));
  world_.run_for(30_s);
  EXPECT_GE(bucket_.size(), objects + 4 + 3);
  std::map<std::string, int> removed;  // by the beginning of their names
  auto before = bucket_.objects();
  EXPECT_EQ(text(put(2, "AttachedSingle", 2)), "AttachedSingle 2");
  world_.run_for(5_s);
  for (const auto& [key, object] : before)
    if (!bucket_.objects().contains(key)) removed[key.substr(key.rfind('/') + 1, 6)]++;
  EXPECT_EQ(removed.size(), 2u);
  EXPECT_EQ(removed["config"], 2);
  EXPECT_GT(removed["index-"], 0) << "that of pageserver 1 is no longer the newest";
  EXPECT_EQ(text(put(1, "Secondary")), "Secondary 2");
}

TEST(HeatmapFormat, ReadsWhatItWrites) {
  pageserver::Heatmap heatmap;
  heatmap.generation = Generation(4);
  heatmap.upload_period = 5_s;
  pageserver::LayerName name{
      pageserver::LayerKind::Delta, pageserver::KeyRange::all(), Lsn(16), Lsn(32), 7, Generation(3)};
  heatmap.timelines[kMain.timeline] = {{name, 8192, 1'700'000'000}, {name, 16384, 0}};
  heatmap.timelines[TimelineId{{0x77}}] = {};
  EXPECT_EQ(*pageserver::parse_heatmap(pageserver::heatmap_text(heatmap)), heatmap);
  for (const char* bad : {"", "[]", R"({"version":1})", R"({"version":1,"timelines":[{}]})",
                          R"({"version":1,"timelines":[{"timeline_id":"x","layers":[]}]})"})
    EXPECT_TRUE(pageserver::parse_heatmap(bad).is(Code::Corrupt)) << bad;
  EXPECT_TRUE(pageserver::parse_heatmap(R"({"version":2,"timelines":[]})").is(Code::Unsupported));
}

TEST_F(TwoPageservers, ASecondaryIsWarmAndItsLayersAreUsed) {
  std::string main = kTenant + "/timeline/" + to_string(kMain.timeline);
  EXPECT_TRUE(call(1, "PUT", kTenant + "/config", {{"heatmap_period", "2s"}}).ok());
  EXPECT_EQ(text(put(2, "Secondary")), "Secondary 1");
  EXPECT_TRUE(call(2, "GET", main, nullptr).is(Code::NotFound));
  EXPECT_TRUE(call(1, "GET", kTenant + "/secondary/status", nullptr).is(Code::NotFound));
  world_.run_for(100_s);
  auto status = call(2, "GET", kTenant + "/secondary/status", nullptr);
  ASSERT_TRUE(status.ok());
  EXPECT_GT(status->at("layers_total"), 0);
  EXPECT_EQ(status->at("layers_downloaded"), status->at("layers_total"));
  restart(2);
  EXPECT_EQ(at(2), "Secondary 1");
  EXPECT_EQ(metric(2, "pageserver_secondary_download_layer"), 0) << "they are there after a start";
  EXPECT_GT(metric(2, "pageserver_secondary_resident_physical_size"), 0);

  EXPECT_EQ(text(put(1, "AttachedStale")), "AttachedStale 1");
  EXPECT_EQ(text(put(2, "AttachedMulti")), "AttachedMulti 2");
  auto shown = call(2, "GET", main + "?logical_size", nullptr);
  ASSERT_TRUE(shown.ok());
  EXPECT_EQ(shown->at("resident_physical_size"), shown->at("current_physical_size"));
  EXPECT_EQ(metric(2, "pageserver_layers_downloaded_total"), 0);
  EXPECT_EQ(text(put(2, "AttachedSingle")), "AttachedSingle 2");
  EXPECT_EQ(text(put(1, "Secondary")), "Secondary 2");
  EXPECT_TRUE(call(1, "POST", kTenant + "/secondary/download", nullptr).ok());
  EXPECT_EQ(metric(1, "pageserver_secondary_download_layer"), 0) << "it has what it had attached";

  // It yields to the bounds of the disk, and goes with the tenant.
  uint64_t much = 1u << 30;
  EXPECT_TRUE(call(1, "PUT", "/v1/disk_usage_eviction/run", {{"evict_bytes", much}}).ok());
  EXPECT_EQ(metric(1, "pageserver_secondary_resident_physical_size"), 0);
  EXPECT_TRUE(call(2, "DELETE", kTenant, nullptr).ok());
  world_.run_for(200_s);
  EXPECT_EQ(at(1), "not found");
  EXPECT_FALSE(has_files(1));
}

}  // namespace
}  // namespace argon::sim
