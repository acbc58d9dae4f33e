// Deletion of timelines and tenants, by the management interfaces of a pageserver and a safekeeper.

#include <gmock/gmock.h>

#include "core/pageserver/deletion.h"
#include "core/safekeeper/tombstone.h"
#include "sim/one_safekeeper.h"
#include "sim/small_cluster.h"

namespace argon::sim {
namespace {

const TenantTimelineId kBranch{kMain.tenant, {{0x33}}};

std::string target_of(const TenantTimelineId& id) {
  return "/v1/tenant/" + to_string(id.tenant) + "/timeline/" + to_string(id.timeline);
}

class Deletion : public testing::Test {
 protected:
  explicit Deletion(uint64_t seed = 11) : cluster_(seed) { EXPECT_TRUE(cluster_.create_main().ok()); }

  Result<json> branch(const TenantTimelineId& id = kBranch) {
    return cluster_.call(
        "POST", cluster_.timelines(),
        {{"new_timeline_id", to_string(id.timeline)}, {"ancestor_timeline_id", to_string(kMain.timeline)}});
  }
  Result<json> remove(const std::string& target) { return cluster_.call("DELETE", target, nullptr); }
  // Until nothing is left, as the answer says; false after a minute.
  bool gone(const std::string& target) {
    for (int i = 0; i < 60; i++) {
      if (remove(target).is(Code::NotFound)) return true;
      cluster_.world_.run_for(1_s);
    }
    return false;
  }
  std::vector<std::string> names(const std::string& folder) {
    auto there = cluster_.pageserver_->storage().find(folder);
    std::vector<std::string> names;
    if (there != nullptr)
      for (const auto& [name, file] : there->entries) names.push_back(name);
    return names;
  }
  std::string stored(const TenantTimelineId& id) {
    return "/store/objects/tenants/" + to_string(id.tenant) + "/timelines/" + to_string(id.timeline);
  }
  void restart() {
    cluster_.pageserver_->power_loss();
    cluster_.pageserver_->restart();
    cluster_.world_.run_for(2_s);
  }

  Cluster cluster_;
};

TEST_F(Deletion, AParentIsNotDeletedAndABranchIsForGood) {
  ASSERT_TRUE(branch().ok());
  auto refused = remove(cluster_.main_target());
  ASSERT_TRUE(refused.is(Code::Stale));
  EXPECT_THAT(refused.error().message(), testing::HasSubstr(to_string(kBranch.timeline)));
  EXPECT_TRUE(cluster_.call("GET", cluster_.main_target(), nullptr).ok());
  EXPECT_TRUE(remove(target_of({kMain.tenant, {{0x44}}})).is(Code::NotFound));

  ASSERT_TRUE(remove(target_of(kBranch)).ok());
  EXPECT_TRUE(cluster_.call("GET", target_of(kBranch), nullptr).is(Code::NotFound));
  EXPECT_EQ(cluster_.call("GET", cluster_.timelines(), nullptr)->size(), 1u);
  ASSERT_TRUE(gone(target_of(kBranch)));
  EXPECT_EQ(names(stored(kBranch)), std::vector<std::string>());
  EXPECT_EQ(names("/data/tenants/" + to_string(kMain.tenant) + "/timelines"),
            std::vector<std::string>{to_string(kMain.timeline)});
  for (bool again : {false, true}) {
    EXPECT_TRUE(branch().is(Code::AlreadyExists));
    auto shown = cluster_.call("GET", target_of(kBranch), nullptr);
    ASSERT_TRUE(shown.is(Code::NotFound));
    EXPECT_THAT(shown.error().message(), testing::HasSubstr("was deleted"));
    if (!again) restart();
  }
  ASSERT_TRUE(remove(cluster_.main_target()).ok());
  EXPECT_TRUE(gone(cluster_.main_target()));
  EXPECT_EQ(names(stored(kMain)), std::vector<std::string>());
}

TEST_F(Deletion, GoesOnWhereverTheServerLostPower) {
  int unfinished = 0;
  for (uint8_t i = 0; i < 30; i++) {
    TenantTimelineId id{kMain.tenant, {{static_cast<uint8_t>(0x50 + i)}}};
    ASSERT_TRUE(branch(id).ok());
    ASSERT_TRUE(remove(target_of(id)).ok());
    cluster_.world_.run_for(i * 100_us);
    unfinished += names(stored(id)).empty() ? 0 : 1;
    restart();
    EXPECT_TRUE(cluster_.call("GET", target_of(id), nullptr).is(Code::NotFound));
    ASSERT_TRUE(gone(target_of(id)));
    EXPECT_EQ(names(stored(id)), std::vector<std::string>());
  }
  EXPECT_GT(unfinished, 3);
}

// As one that took the tenant over while it was deleted, and died before it had looked.
TEST_F(Deletion, AClaimAloneBringsNoTenantBack) {
  std::string tenant = "/v1/tenant/" + to_string(kMain.tenant);
  ASSERT_TRUE(remove(tenant).ok());
  Status claimed = cluster_.world_.run(*cluster_.pageserver_, [&](Task& task) -> Status {
    pageserver::Claim claim{NodeId(1), 77, pageserver::LocationMode::AttachedSingle, {}};
    std::string folder = "/store/objects/tenants/" + to_string(kMain.tenant);
    TRY(make_dirs(task, task.env().disk(), folder));
    return write_file_durably(task, task.env().disk(), folder + "/generation-00000002",
                              as_bytes(claim_text(claim)));
  });
  ASSERT_TRUE(claimed.ok());
  restart();
  auto shown = cluster_.call("GET", tenant, nullptr);
  ASSERT_TRUE(shown.is(Code::NotFound));
  EXPECT_THAT(shown.error().message(), testing::HasSubstr("was deleted"));
  EXPECT_TRUE(gone(tenant));
}

TEST_F(Deletion, ConnectionsEndAndTheComputeIsToldWhy) {
  cluster_.start_compute();
  cluster_.world_.run_for(5_s);
  uint64_t pages = cluster_.events_.pages;
  ASSERT_GT(pages, 0u);
  ASSERT_TRUE(remove(cluster_.main_target()).ok());
  cluster_.world_.run_for(1_s);
  pages = cluster_.events_.pages;
  ASSERT_TRUE(gone(cluster_.main_target()));
  cluster_.world_.run_for(5_s);
  EXPECT_EQ(cluster_.events_.pages, pages);
  EXPECT_EQ(names("/data/tenants/" + to_string(kMain.tenant) + "/timelines"), std::vector<std::string>());
}

// A creation that waits for WAL of its ancestor, while that is loaded anew.
TEST_F(Deletion, WhoWaitsForWalDoesNotKeepATimelineFromBeingDetached) {
  ASSERT_TRUE(branch().ok());
  ASSERT_TRUE(
      cluster_.call("PUT", "/v1/tenant/" + to_string(kMain.tenant) + "/config", {{"lsn_lease_length", "1s"}})
          .ok());
  cluster_.world_.run_for(3_s);
  json body{{"new_timeline_id", std::string(32, '4')},
            {"ancestor_timeline_id", to_string(kBranch.timeline)},
            {"ancestor_start_lsn", "1/0"}};
  Result<json> waited = Error(Code::Io, "not asked");
  Duration took, wait_took;
  Status done = cluster_.world_.run(*cluster_.client_, [&](Task& task) -> Status {
    MonotonicTime begin = task.env().now();
    Scope scope(task);
    scope.spawn("wait", [&](Task& t) -> Status {
      waited = http::fetch_json(t, kHttp, "POST", cluster_.timelines(), body);
      wait_took = t.env().now() - begin;
      return {};
    });
    TRY(task.sleep(200_ms));
    TRY(http::fetch_json(task, kHttp, "PUT", target_of(kBranch) + "/detach_ancestor", nullptr));
    took = task.env().now() - begin;
    return scope.join(task);
  });
  ASSERT_TRUE(done.ok()) << done.error().to_string();
  EXPECT_LT(took, 3_s);
  EXPECT_LT(wait_took, 3_s);
  EXPECT_TRUE(waited.is(Code::Unavailable)) << waited.error().to_string();
}

TEST_F(Deletion, ATenantGoesWithAllItsTimelines) {
  ASSERT_TRUE(branch().ok());
  std::string tenant = "/v1/tenant/" + to_string(kMain.tenant);
  ASSERT_TRUE(remove(tenant).ok());
  EXPECT_TRUE(cluster_.call("GET", tenant, nullptr).is(Code::NotFound));
  EXPECT_TRUE(cluster_.call("GET", target_of(kBranch), nullptr).is(Code::NotFound));
  EXPECT_TRUE(cluster_.call("POST", tenant, json::object()).is(Code::AlreadyExists));
  restart();
  ASSERT_TRUE(gone(tenant));
  EXPECT_TRUE(cluster_.call("POST", tenant, json::object()).is(Code::AlreadyExists));
  EXPECT_EQ(names("/data/tenants"), std::vector<std::string>());
  std::string left;
  for (const std::string& name : names("/store/objects/tenants/" + to_string(kMain.tenant)))
    left += name + " ";
  EXPECT_THAT(left, testing::MatchesRegex("deleted-[0-9a-f]+ timelines "));
}

class SafekeeperDeletion : public OneSafekeeper {
 protected:
  const std::string tenant_ = std::string(32, 'a');
  const std::string timeline_ = std::string(32, '1');
  const std::string path_ = "/v1/tenant/" + tenant_ + "/timeline/" + timeline_;

  Result<json> make() { return OneSafekeeper::create(tenant_, timeline_, configuration(1, {1, 2, 3})); }
  void lose_power() {
    sk_.power_loss();
    boot();
  }
};

TEST_F(SafekeeperDeletion, ADeletedTimelineIsNeverMadeAgain) {
  ASSERT_TRUE(make().ok());
  ASSERT_TRUE(call("DELETE", path_).ok());
  for (bool again : {false, true}) {
    auto gone = call("GET", path_);
    ASSERT_TRUE(gone.is(Code::Stale));
    EXPECT_THAT(gone.error().message(), testing::HasSubstr("was deleted"));
    EXPECT_TRUE(make().is(Code::Stale));
    // Whatever the configuration is.
    json later = configuration(9, {1});
    later["donors"] = json::array();
    EXPECT_TRUE(call("POST", path_ + "/pull", later).is(Code::Stale));
    EXPECT_TRUE(call("PUT", path_ + "/exclude", configuration(9, {2})).ok());
    json tombstones = call("GET", "/v1/tombstone").value();
    ASSERT_EQ(tombstones.size(), 1u);
    EXPECT_EQ(tombstones[0]["timeline_id"], timeline_);
    if (!again) lose_power();
  }
  world_.run_for(Duration::seconds(3));
  EXPECT_EQ(call("DELETE", path_)->at("done"), true);
  auto folder = sk_.storage().find("/data/" + tenant_ + "/" + timeline_);
  ASSERT_EQ(folder->entries.size(), 1u);
  EXPECT_EQ(folder->entries.begin()->first, "deleted");
}

TEST_F(SafekeeperDeletion, OneThatNeverWasHereLeavesATombstoneToo) {
  ASSERT_TRUE(call("DELETE", path_).ok());
  EXPECT_TRUE(make().is(Code::Stale));
}

TEST_F(SafekeeperDeletion, ATenantsTimelinesGoAndNoneIsMade) {
  ASSERT_TRUE(make().ok());
  ASSERT_TRUE(call("DELETE", "/v1/tenant/" + tenant_).ok());
  lose_power();
  world_.run_for(Duration::seconds(3));
  EXPECT_TRUE(make().is(Code::Stale));
  EXPECT_TRUE(OneSafekeeper::create(tenant_, std::string(32, '2'), configuration(1, {1})).is(Code::Stale));
  EXPECT_EQ(sk_.storage().find("/data/" + tenant_)->entries.size(), 1u);
}

TEST_F(SafekeeperDeletion, ItsObjectsGoAndNoOthers) {
  Bucket bucket;
  Machine& other = world_.add_machine("sk2");
  boot(other, NodeId(2), &bucket);
  for (const char* timeline : {"1", "2"}) {
    json body = configuration(1, {2});
    body.update(
        {{"tenant_id", tenant_}, {"timeline_id", std::string(32, *timeline)}, {"start_lsn", "0/1000028"}});
    ASSERT_TRUE(call("POST", "/v1/tenant/timeline", body, "sk2").ok());
  }
  ASSERT_EQ(bucket.size(), 2u);
  ASSERT_TRUE(call("DELETE", path_, {}, "sk2").ok());
  world_.run_for(Duration::seconds(3));
  ASSERT_EQ(bucket.size(), 1u);
  EXPECT_THAT(bucket.objects().begin()->first, testing::HasSubstr("/" + std::string(32, '2') + "/"));
  other.power_loss();
}

TEST_F(SafekeeperDeletion, BadInputADamagedTombstoneIsOneAllTheSame) {
  ASSERT_TRUE(make().ok());
  ASSERT_TRUE(call("DELETE", path_).ok());
  Status damaged = world_.run(sk_, [&](Task& task) -> Status {
    return write_file_durably(task, task.env().disk(), "/data/" + tenant_ + "/" + timeline_ + "/deleted",
                              as_bytes("nonsense"));
  });
  ASSERT_TRUE(damaged.ok());
  lose_power();
  EXPECT_TRUE(make().is(Code::Stale));
}

TEST(Tombstone, IsReadAsItWasWrittenAndRefusedWhereItIsDamaged) {
  for (std::optional<TimelineId> timeline : {std::optional<TimelineId>(), std::optional(TimelineId{{7}})}) {
    safekeeper::Tombstone written{{{3}}, timeline};
    Bytes file = safekeeper::encode_tombstone(written);
    auto read = safekeeper::decode_tombstone(file);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, written);
    for (size_t i = 0; i < file.size(); i++) {
      Bytes damaged = file;
      damaged[i] ^= 1;
      EXPECT_FALSE(safekeeper::decode_tombstone(damaged).ok()) << i;
      EXPECT_FALSE(safekeeper::decode_tombstone(ByteView(file).first(i)).ok()) << i;
    }
  }
}

TEST(Mark, CountsWhereItIsOfTheNewestGeneration) {
  using pageserver::RemoteTenant;
  TimelineId timeline{{5}};
  std::string name = "deleted-" + to_string(timeline) + "-00000007";
  RemoteTenant tenant;
  for (const char* wrong : {"deleted-", "deleted-0000000x", "deleted-00000007-", "config-00000007"})
    EXPECT_FALSE(note_mark(tenant, wrong)) << wrong;
  EXPECT_FALSE(tenant.is_deleted(timeline));
  ASSERT_TRUE(note_mark(tenant, name));
  EXPECT_TRUE(tenant.is_deleted(timeline));
  tenant.newest_index[timeline] = "tenants/x/timelines/y/index-00000007-00000000000000ff";
  EXPECT_TRUE(tenant.is_deleted(timeline));
  tenant.newest_index[timeline] = "tenants/x/timelines/y/index-00000008-0000000000000001";
  EXPECT_FALSE(tenant.is_deleted(timeline));

  ASSERT_TRUE(note_mark(tenant, "deleted-00000009"));
  tenant.newest = Generation(10);
  EXPECT_TRUE(tenant.is_deleted());
  ASSERT_TRUE(note_mark(tenant, "deleted-" + to_string(timeline) + "-0000000a"));
  EXPECT_FALSE(tenant.is_deleted());
}

}  // namespace
}  // namespace argon::sim
