// Archived timelines, by the management interface of a pageserver.

#include <gmock/gmock.h>

#include "sim/small_cluster.h"

namespace argon::sim {
namespace {

const TenantTimelineId kBranch{kMain.tenant, {{0x33}}};
const TenantTimelineId kTwig{kMain.tenant, {{0x44}}};

std::string target_of(const TenantTimelineId& id) {
  return "/v1/tenant/" + to_string(id.tenant) + "/timeline/" + to_string(id.timeline);
}

class Archive : public testing::Test {
 protected:
  Archive() : cluster_(12) { EXPECT_TRUE(cluster_.create_main().ok()); }

  Result<json> branch(const TenantTimelineId& id, const TenantTimelineId& of) {
    return cluster_.call(
        "POST", cluster_.timelines(),
        {{"new_timeline_id", to_string(id.timeline)}, {"ancestor_timeline_id", to_string(of.timeline)}});
  }
  Result<json> branch_at(const TenantTimelineId& id, const TenantTimelineId& of, Lsn lsn) {
    return cluster_.call("POST", cluster_.timelines(),
                         {{"new_timeline_id", to_string(id.timeline)},
                          {"ancestor_timeline_id", to_string(of.timeline)},
                          {"ancestor_start_lsn", to_string(lsn)}});
  }
  Result<json> set(const TenantTimelineId& id, const std::string& state) {
    return cluster_.call("PUT", target_of(id) + "/archival_config", {{"state", state}});
  }
  bool is_archived(const TenantTimelineId& id) {
    auto shown = cluster_.call("GET", target_of(id), nullptr);
    EXPECT_TRUE(shown.ok());
    return shown.ok() && shown->at("is_archived").get<bool>();
  }
  bool has_files(const TenantTimelineId& id) {
    return cluster_.pageserver_->storage().find("/data/tenants/" + to_string(id.tenant) + "/timelines/" +
                                                to_string(id.timeline)) != nullptr;
  }
  void restart() {
    cluster_.pageserver_->power_loss();
    cluster_.pageserver_->restart();
    cluster_.world_.run_for(3_s);
  }

  Cluster cluster_;
};

TEST_F(Archive, IsKeptInTheObjectStoreOnlyAndComesBack) {
  ASSERT_TRUE(branch(kBranch, kMain).ok());
  auto archived = set(kBranch, "Archived");
  ASSERT_TRUE(archived.ok()) << archived.error().to_string();
  EXPECT_TRUE(archived->contains("archived_at"));
  for (bool again : {false, true}) {
    cluster_.world_.run_for(3_s);
    EXPECT_TRUE(is_archived(kBranch));
    EXPECT_FALSE(has_files(kBranch));
    EXPECT_TRUE(set(kBranch, "Archived").ok());
    auto used = cluster_.call("PUT", target_of(kBranch) + "/compact", nullptr);
    ASSERT_TRUE(used.is(Code::Stale));
    EXPECT_THAT(used.error().message(), testing::HasSubstr("argon timeline unarchive"));
    EXPECT_TRUE(branch(kTwig, kBranch).is(Code::Stale));
    auto all =
        cluster_.call("GET", "/v1/tenant/" + to_string(kMain.tenant) + "/timeline_and_offloaded", nullptr);
    ASSERT_TRUE(all.ok());
    EXPECT_EQ(all->at("timelines").size(), 1u);
    EXPECT_EQ(all->at("offloaded").size(), 1u);
    if (!again) restart();
  }
  auto back = set(kBranch, "Unarchived");
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  EXPECT_TRUE(has_files(kBranch));
  EXPECT_TRUE(branch(kTwig, kBranch).ok());
  restart();
  EXPECT_FALSE(is_archived(kBranch));
  EXPECT_TRUE(set(kBranch, "Sideways").is(Code::Invalid));
}

TEST_F(Archive, BranchesGoBeforeAndComeBackAfter) {
  ASSERT_TRUE(branch(kBranch, kMain).ok());
  ASSERT_TRUE(branch(kTwig, kBranch).ok());
  auto refused = set(kBranch, "Archived");
  ASSERT_TRUE(refused.is(Code::Stale));
  EXPECT_THAT(refused.error().message(), testing::HasSubstr(to_string(kTwig.timeline)));
  ASSERT_TRUE(set(kTwig, "Archived").ok());
  ASSERT_TRUE(set(kBranch, "Archived").ok());
  refused = cluster_.call("DELETE", target_of(kBranch), nullptr);
  ASSERT_TRUE(refused.is(Code::Stale));
  EXPECT_THAT(refused.error().message(), testing::HasSubstr(to_string(kTwig.timeline)));
  restart();
  refused = set(kTwig, "Unarchived");
  ASSERT_TRUE(refused.is(Code::Stale));
  EXPECT_THAT(refused.error().message(), testing::HasSubstr(to_string(kBranch.timeline)));
  ASSERT_TRUE(set(kBranch, "Unarchived").ok());
  EXPECT_TRUE(is_archived(kTwig));
  ASSERT_TRUE(set(kTwig, "Unarchived").ok());
  ASSERT_TRUE(set(kTwig, "Archived").ok());
  EXPECT_TRUE(cluster_.call("DELETE", target_of(kTwig), nullptr).ok());
}

// Twice archived, on a way that leads through an archived ancestor to one that collects garbage.
TEST_F(Archive, HoldsWhatItReadsOfItsAncestors) {
  std::string tenant = "/v1/tenant/" + to_string(kMain.tenant);
  json short_history{
      {"pitr_interval", "0s"}, {"gc_horizon", 0}, {"gc_period", "0s"}, {"lsn_lease_length", "1s"}};
  ASSERT_TRUE(cluster_.call("PUT", tenant + "/config", short_history).ok());
  cluster_.start_compute();
  cluster_.world_.run_for(5_s);
  Lsn then = cluster_.model_.last_acknowledged();
  cluster_.world_.run_for(2_s);
  Lsn later = cluster_.model_.last_acknowledged();
  ASSERT_GT(later, then);
  ASSERT_TRUE(branch_at(kTwig, kMain, later).ok());
  // Below where the twig itself begins.
  ASSERT_TRUE(branch_at(kBranch, kTwig, then).ok());
  for (const TenantTimelineId& id : {kBranch, kTwig}) ASSERT_TRUE(set(id, "Archived").ok());
  for (bool again : {false, true}) {
    cluster_.world_.run_for(5_s);
    ASSERT_TRUE(cluster_.call("PUT", cluster_.main_target() + "/checkpoint", nullptr).ok());
    auto collected = cluster_.call("PUT", cluster_.main_target() + "/do_gc", nullptr);
    ASSERT_TRUE(collected.ok()) << collected.error().to_string();
    auto cutoff = parse_lsn(collected->at("gc_cutoff_lsn").get<std::string>());
    ASSERT_TRUE(cutoff.ok());
    EXPECT_GT(*cutoff, later);
    if (!again) restart();
  }
  for (const TenantTimelineId& id : {kTwig, kBranch}) {
    ASSERT_TRUE(set(id, "Unarchived").ok());
    auto pages = cluster_.verify(id, cluster_.model_, id == kTwig ? later : then);
    ASSERT_TRUE(pages.ok()) << pages.error().to_string();
    EXPECT_GT(*pages, 0u);
  }
  EXPECT_EQ(cluster_.events_.violations, "");
}

}  // namespace
}  // namespace argon::sim
