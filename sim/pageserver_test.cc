// The pageserver in a small cluster: it loses power, its disk, its layers; a model compute compares what it
// reads.

#include <gmock/gmock.h>

#include <set>

#include "core/compute/model/model_pages.h"
#include "core/env/points.h"
#include "core/pageserver/tenants.h"
#include "sim/small_cluster.h"

namespace argon::sim {
namespace {

TEST(Pageserver, ServesWhatAComputeWroteAlsoAfterPowerLossAndWithAnEmptiedDisk) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  cluster.world_.run_for(10_s);
  EXPECT_GT(cluster.events_.commits, 50u);
  cluster.pageserver_->faults.begin(faults::Kind::UnsyncedDataLost, 0);
  cluster.pageserver_->faults.begin(faults::Kind::UnsyncedNamesLost, 0);
  for (int round = 0; round < 4; round++) {
    cluster.pageserver_->power_loss();
    cluster.empty_disk_ = round % 2 == 1;
    cluster.pageserver_->restart();
    cluster.world_.run_for(5_s);
  }
  auto checkpoint = cluster.call("PUT", cluster.main_target() + "/checkpoint", json::object());
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().to_string();
  Lsn lsn = cluster.model_.last_acknowledged();
  auto pages = cluster.verify(kMain, cluster.model_, lsn);
  ASSERT_TRUE(pages.ok()) << pages.error().to_string();
  EXPECT_GT(*pages, 5u);
  EXPECT_GT(cluster.events_.pages, 100u);
  auto detail = cluster.call("GET", cluster.main_target(), nullptr);
  ASSERT_TRUE(detail.ok());
  std::printf("%s\ncommits %lu, pages %lu, starts %lu\n", detail->dump(1).c_str(), cluster.events_.commits,
              cluster.events_.pages, cluster.events_.starts);
  expect_quiet(cluster);
}

TEST(Pageserver, ComputesOfItsMachineReadByAUnixSocketAlsoAfterPowerLoss) {
  Cluster cluster(2);
  const Address socket = Address::unix_socket("/run/pages");
  cluster.listen_local_ = socket;
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  for (int life = 0; life < 3; life++) {
    cluster.world_.run_for(10_s);
    auto pages = cluster.verify_from(*cluster.pageserver_, socket, kMain, cluster.model_,
                                     cluster.model_.last_acknowledged());
    ASSERT_TRUE(pages.ok()) << pages.error().to_string();
    EXPECT_GT(*pages, 5u);
    cluster.pageserver_->power_loss();
    cluster.pageserver_->restart();
  }
  auto elsewhere = cluster.verify_from(*cluster.client_, socket, kMain, cluster.model_,
                                       cluster.model_.last_acknowledged());
  EXPECT_FALSE(elsewhere.ok());
  expect_quiet(cluster);
}

TEST(Pageserver, APlaceWhereItCannotListenLocallyLeavesItToTcp) {
  Cluster cluster(3);
  cluster.listen_local_ = Address::tcp("0.0.0.0", kPages.port);  // which is in use
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  cluster.world_.run_for(10_s);
  auto pages = cluster.verify(kMain, cluster.model_, cluster.model_.last_acknowledged());
  ASSERT_TRUE(pages.ok()) << pages.error().to_string();
  EXPECT_TRUE(std::ranges::any_of(cluster.world_.log_lines(), [](const std::string& line) {
    return line.find("processes of this machine connect by TCP") != std::string::npos;
  }));
  expect_quiet(cluster);
}

// The model compute checks each page as a server's buffer manager does, and compares it byte for byte.
TEST(Pageserver, PagesOfAClusterWithDataChecksumsCarryThemFromRecordsAndFromImageLayers) {
  Cluster cluster(5, true);
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  cluster.world_.run_for(20_s);
  EXPECT_GT(cluster.events_.commits, 50u);
  EXPECT_GT(cluster.events_.pages, 100u);
  auto pages = cluster.verify(kMain, cluster.model_, cluster.model_.last_acknowledged());
  EXPECT_TRUE(pages.ok()) << pages.error().to_string();
  int images = 0;
  Status listed = cluster.world_.run(*cluster.pageserver_, [&](Task& task) -> Status {
    std::string folder =
        "/data/tenants/" + to_string(kMain.tenant) + "/timelines/" + to_string(kMain.timeline);
    TRY_ASSIGN(auto entries, task.env().disk().list(task, folder));
    for (const DirEntry& entry : entries) {
      auto name = pageserver::parse_layer_name(entry.name);
      if (name.ok() && name->kind == pageserver::LayerKind::Image) images++;
    }
    return {};
  });
  EXPECT_TRUE(listed.ok()) << listed.error().to_string();
  EXPECT_GT(images, 1) << "beside the imported base";
  expect_quiet(cluster);
}

TEST(Pageserver, ABranchReadsAsItsParentDidWhateverTheParentDoesLater) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  cluster.world_.run_for(8_s);
  Lsn at = cluster.model_.last_acknowledged();
  TenantTimelineId branch{kMain.tenant, {{0x33}}};
  cluster.world_.run_for(2_s);
  auto made = cluster.call("POST", cluster.timelines(),
                           {{"new_timeline_id", to_string(branch.timeline)},
                            {"ancestor_timeline_id", to_string(kMain.timeline)},
                            {"ancestor_start_lsn", to_string(at)}});
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  EXPECT_EQ((*made)["ancestor_lsn"], to_string(at));
  compute::ReferenceModel model(cluster.model_, at);
  cluster.world_.run_for(5_s);
  cluster.pageserver_->power_loss();
  cluster.pageserver_->restart();
  cluster.world_.run_for(5_s);
  auto pages = cluster.verify(branch, model, at);
  ASSERT_TRUE(pages.ok()) << pages.error().to_string();
  EXPECT_GT(*pages, 2u);
  auto again = cluster.call("POST", cluster.timelines(),
                            {{"new_timeline_id", to_string(branch.timeline)},
                             {"ancestor_timeline_id", to_string(kMain.timeline)},
                             {"ancestor_start_lsn", "0/1000"}});
  EXPECT_FALSE(again.ok());
  expect_quiet(cluster);
}

TEST(Pageserver, TheConfigurationOfATenantOutlivesPowerLossAndAnEmptiedDisk) {
  Cluster cluster(6);
  ASSERT_TRUE(cluster.create_main().ok());
  std::string target = "/v1/tenant/" + to_string(kMain.tenant) + "/config";
  auto configuration = [&] {
    auto config = cluster.call("GET", target, nullptr);
    return config.ok() ? config->dump() : config.error().to_string();
  };
  EXPECT_EQ(configuration(), "{}");
  for (const char* name : {"one", "two", "three"}) {
    json config{{"redo_extensions", {name, "/usr/lib/another.so"}}};
    auto put = cluster.call("PUT", target, config);
    EXPECT_TRUE(put.ok()) << put.error().to_string();
    cluster.pageserver_->power_loss();
    cluster.empty_disk_ = true;
    cluster.pageserver_->restart();
    cluster.world_.run_for(2_s);
    EXPECT_EQ(configuration(), config.dump());
  }
  EXPECT_TRUE(cluster.call("PUT", target, json::object()).ok());
  EXPECT_EQ(configuration(), "{}");
}

TEST(Pageserver, BadInputConfigurationsOfATenant) {
  Cluster cluster(7);
  ASSERT_TRUE(cluster.create_main().ok());
  std::string target = "/v1/tenant/" + to_string(kMain.tenant) + "/config";
  auto refusal = [&](const json& config) {
    auto put = cluster.call("PUT", target, config);
    return put.ok() ? "taken" : put.error().message();
  };
  EXPECT_THAT(refusal({{"redo_extension", json::array()}}), testing::HasSubstr("has no 'redo_extension'"));
  EXPECT_THAT(refusal({{"redo_extensions", "one"}}), testing::HasSubstr("a list of at most 16 libraries"));
  EXPECT_THAT(refusal({{"redo_extensions", {"a,b"}}}), testing::HasSubstr("'a,b' is no library"));
  EXPECT_THAT(refusal({{"redo_extensions", {""}}}), testing::HasSubstr("'' is no library"));
  EXPECT_THAT(refusal(json::array()), testing::HasSubstr("must be a JSON object"));
  auto unknown = cluster.call("GET", "/v1/tenant/" + std::string(32, '9') + "/config", nullptr);
  EXPECT_TRUE(unknown.is(Code::NotFound));
}

TEST(Pageserver, BadInputADamagedConfigurationIsAnErrorUntilAnotherIsPut) {
  Cluster cluster(8);
  ASSERT_TRUE(cluster.create_main().ok());
  std::string target = "/v1/tenant/" + to_string(kMain.tenant) + "/config";
  json good{{"redo_extensions", {"one"}}};
  ASSERT_TRUE(cluster.call("PUT", target, good).ok());
  Status damaged = cluster.world_.run(*cluster.pageserver_, [](Task& task) -> Status {
    std::string folder = "/store/objects/tenants/" + to_string(kMain.tenant);
    TRY_ASSIGN(auto entries, task.env().disk().list(task, folder));
    for (const DirEntry& entry : entries)
      if (entry.name.starts_with("config-"))
        return write_file_durably(task, task.env().disk(), folder + "/" + entry.name,
                                  as_bytes("{\"redo_ext"));
    return Error(Code::NotFound, "no configuration in the store");
  });
  ASSERT_TRUE(damaged.ok()) << damaged.error().to_string();
  cluster.pageserver_->power_loss();
  cluster.pageserver_->restart();
  cluster.world_.run_for(2_s);
  auto shown = cluster.call("GET", target, nullptr);
  ASSERT_FALSE(shown.ok());
  EXPECT_THAT(shown.error().message(), testing::HasSubstr("must be a JSON object"));
  EXPECT_TRUE(cluster.call("GET", cluster.main_target(), nullptr).ok()) << "timelines are served";
  EXPECT_TRUE(cluster.call("PUT", target, good).ok());
  shown = cluster.call("GET", target, nullptr);
  EXPECT_EQ(shown.ok() ? shown->dump() : shown.error().to_string(), good.dump());
}

// Disk and network faults come and go on the pageserver while the compute works; then all is healed.
class PageserverFaults : public testing::TestWithParam<uint64_t> {};

TEST_P(PageserverFaults, NothingReadIsWrongAndAllIsServedAfterHealing) {
  Cluster cluster(GetParam());
  Random random = Random(GetParam()).fork("faults");
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  cluster.world_.run_for(2_s);
  using faults::Kind;
  const std::vector<std::pair<Kind, int64_t>> kinds = {
      {Kind::ReadError, 20},  {Kind::WriteError, 20}, {Kind::SyncFailure, 5}, {Kind::ShortReads, 2},
      {Kind::ShortWrites, 2}, {Kind::Reset, 200},     {Kind::SlowDisk, 5}};
  FaultState& state = cluster.pageserver_->faults;
  state.begin(Kind::UnsyncedDataLost, 0);
  state.begin(Kind::TornSectors, 0);
  state.begin(Kind::UnsyncedNamesLost, 0);
  for (int round = 0; round < 6; round++) {
    const auto& [kind, value] = kinds[random.below(kinds.size())];
    state.begin(kind, value);
    cluster.world_.run_for(random.between(200_ms, 3_s));
    if (random.chance({1, 2})) {
      cluster.pageserver_->power_loss();
      cluster.empty_disk_ = random.chance({1, 4});
      cluster.pageserver_->restart();
      cluster.world_.run_for(random.between(10_ms, 2_s));
    }
    state.end(kind);
  }
  cluster.world_.run_for(5_s);
  Lsn lsn = cluster.model_.last_acknowledged();
  auto pages = cluster.verify(kMain, cluster.model_, lsn);
  EXPECT_TRUE(pages.ok()) << pages.error().to_string();
  if (pages.ok()) {
    EXPECT_GT(*pages, 5u);
  }
  EXPECT_GT(cluster.events_.commits, 50u);
  expect_quiet(cluster);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PageserverFaults, testing::Range<uint64_t>(1, 7));

using Pages = std::vector<std::pair<wire::PageRel, uint32_t>>;

// The last one first, which no read ahead helps with: at once, or one after the other.
Result<Duration> read_pages(Task& task, const Pages& pages, bool at_once) {
  Scope scope(task);
  compute::PageClient client(scope, task.env(), {kPages, kMain});
  MonotonicTime begin = task.env().now();
  Scope readers(task);
  Status done;
  for (auto page = pages.rbegin(); page != pages.rend() && done.ok(); ++page) {
    readers.spawn("reader", [&client, page](Task& t) -> Status {
      TRY_ASSIGN(Bytes content, client.page(t, page->first, page->second, {}));
      return content.size() == pg::kBlockSize ? Status() : Status(Error(Code::Corrupt, "no page"));
    });
    if (!at_once) done = readers.join(task);
  }
  Status all = readers.join(task);
  Duration took = task.env().now() - begin;
  ignore_result(client.stop(task));
  ignore_result(scope.stop(task));
  TRY(done);
  TRY(all);
  return took;
}

Result<Pages> pages_of(Task& task, const compute::ReferenceModel& model) {
  Scope scope(task);
  compute::PageClient client(scope, task.env(), {kPages, kMain});
  Result<Pages> pages = Pages();
  for (const pg::RelTag& rel : model.relations()) {
    Result<uint32_t> blocks = client.blocks(task, compute::to_wire(rel), {});
    if (!blocks.ok()) pages = blocks.error();
    if (!pages.ok()) break;
    for (uint32_t block = 0; block < *blocks; block++) pages->emplace_back(compute::to_wire(rel), block);
  }
  ignore_result(client.stop(task));
  ignore_result(scope.stop(task));
  return pages;
}

TEST(Pageserver, RequestsThatHaveArrivedWaitForTheDiskTogether) {
  Cluster cluster(31);
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  cluster.world_.run_for(10_s);
  cluster.compute_->power_loss();
  ASSERT_TRUE(cluster.call("PUT", cluster.main_target() + "/checkpoint", json::object()).ok());
  Duration apart, together;
  Status read = cluster.world_.run(*cluster.client_, [&](Task& task) -> Status {
    Deadline deadline(task, 600_s);
    TRY_ASSIGN(Pages pages, pages_of(task, cluster.model_));
    TRY(read_pages(task, pages, true));  // the index of layers comes into memory
    cluster.pageserver_->faults.begin(faults::Kind::SlowDisk, 100);
    TRY_ASSIGN(apart, read_pages(task, pages, false));
    TRY_ASSIGN(together, read_pages(task, pages, true));
    return {};
  });
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  std::printf("one after the other %ld us, at once %ld us\n", apart.to_microseconds(),
              together.to_microseconds());
  EXPECT_LT(together * 3, apart);
  EXPECT_GT(cluster.world_.probes()[static_cast<size_t>("pageserver.batch-read-together"_probe)], 0u);
}

// What stock pg_basebackup asks before its backup, and what it cannot have.
TEST(Pageserver, BadInputReplicationCommandsThatAPageserverCannotAnswerSayWhy) {
  Cluster cluster(32);
  ASSERT_TRUE(cluster.create_main().ok());
  auto ask = [&](const wire::Parameters& options, const std::string& query) {
    Result<wire::QueryResult> answer = Error(Code::Unavailable, "not asked");
    Status asked = cluster.world_.run(*cluster.client_, [&](Task& task) -> Status {
      TRY_ASSIGN(auto client, wire::PgClient::connect(task, Address::tcp("pageserver", 64000),
                                                      {{"user", "x"}, {"replication", "true"}}, options));
      answer = client->query(task, query);
      return {};
    });
    EXPECT_TRUE(asked.ok()) << asked.error().to_string();
    return answer;
  };
  wire::Parameters main{{"tenant_id", to_string(kMain.tenant)}, {"timeline_id", to_string(kMain.timeline)}};
  auto system = ask(main, "IDENTIFY_SYSTEM");
  ASSERT_TRUE(system.ok()) << system.error().to_string();
  EXPECT_EQ(system->rows.at(0).at(1), "1");
  EXPECT_EQ(ask(main, "SHOW wal_segment_size")->rows.at(0).at(0), "16MB");
  auto refusal = [&](const wire::Parameters& options, const std::string& query) {
    auto answer = ask(options, query);
    return answer.ok() ? std::string("it was answered") : answer.error().message();
  };
  using testing::HasSubstr;
  EXPECT_THAT(refusal(main, "START_REPLICATION 0/1000000"), HasSubstr("-X fetch"));
  EXPECT_THAT(refusal(main, "BASE_BACKUP ( TARGET 'server', TARGET_DETAIL '/tmp' )"), HasSubstr("client"));
  EXPECT_THAT(refusal(main, "BASE_BACKUP ( COMPRESSION 'gzip')"), HasSubstr("compress"));
  EXPECT_THAT(refusal(main, "BASE_BACKUP ( MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256' )"),
              HasSubstr("CRC32C"));
  EXPECT_THAT(refusal({}, "IDENTIFY_SYSTEM"), HasSubstr("tenant_id"));
  main["lsn"] = "nowhere";
  EXPECT_THAT(refusal(main, "BASE_BACKUP ( LABEL 'it''s' )"), HasSubstr("nowhere"));
}

// Flips a bit in every layer file below `folder`; the number of files.
Result<int> damage_layers(Task& task, Disk& disk, const std::string& folder) {
  int damaged = 0;
  TRY_ASSIGN(std::vector<DirEntry> entries, disk.list(task, folder));
  for (const DirEntry& entry : entries) {
    std::string path = join_path(folder, entry.name);
    if (entry.is_directory) {
      TRY_ASSIGN(int below, damage_layers(task, disk, path));
      damaged += below;
      continue;
    }
    if (!pageserver::parse_layer_name(entry.name).ok()) continue;
    TRY_ASSIGN(Bytes bytes, read_file(task, disk, path));
    for (size_t at = 100; at < bytes.size(); at += pageserver::kLayerBlock) bytes[at] ^= 4;
    TRY(write_file_durably(task, disk, path, bytes));
    damaged++;
  }
  return damaged;
}

// Flips a bit in each layer that the object store does not name, or in some; the number of files.
Result<int> rot_what_is_not_uploaded(Task& task, Random& random) {
  Disk& disk = task.env().disk();
  std::string timeline = "/tenants/" + to_string(kMain.tenant) + "/timelines/" + to_string(kMain.timeline);
  TRY_ASSIGN(std::vector<DirEntry> stored, disk.list(task, "/store/objects" + timeline));
  std::string newest;
  for (const DirEntry& entry : stored)
    if (entry.name.starts_with("index-")) newest = std::max(newest, entry.name);
  std::string path = "/store/objects" + timeline + "/" + newest;
  TRY_ASSIGN(Bytes bytes, read_file(task, disk, path));
  TRY_ASSIGN(pageserver::TimelineIndex index, pageserver::decode_index(bytes, path));
  std::set<std::string> named;
  for (const auto& layer : index.layers) named.insert(to_string(layer.name));
  TRY_ASSIGN(std::vector<DirEntry> local, disk.list(task, "/data" + timeline));
  bool all = random.chance({1, 2});
  int rotten = 0;
  for (const DirEntry& entry : local) {
    if (!pageserver::parse_layer_name(entry.name).ok() || named.contains(entry.name)) continue;
    if (!all && random.chance({1, 2})) continue;
    auto opened = disk.open(task, "/data" + timeline + "/" + entry.name, OpenMode::ReadWrite);
    if (opened.is(Code::NotFound)) continue;  // compacted meanwhile
    TRY_ASSIGN(auto file, std::move(opened));
    TRY_ASSIGN(uint64_t size, file->size(task));
    uint64_t at = random.below(size);
    Bytes byte(1);
    TRY(read_exact_at(task, *file, at, byte));
    byte[0] ^= static_cast<uint8_t>(1u << random.below(8));
    TRY(write_all_at(task, *file, at, byte));
    TRY(file->fdatasync(task));
    rotten++;
  }
  return rotten;
}

class PageserverRot : public testing::TestWithParam<uint64_t> {};

TEST_P(PageserverRot, ALayerThatRotsBeforeItsUploadIsMadeAnewFromWal) {
  Cluster cluster(100 + GetParam());
  Random random = Random(GetParam()).fork("rot");
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  cluster.world_.run_for(random.between(1_s, 8_s));
  auto on_disk = [&](auto body) {
    Status done = cluster.world_.run(*cluster.pageserver_, body);
    EXPECT_TRUE(done.ok()) << done.error().to_string();
  };
  int rotten = 0;
  for (int round = 0; round < 3; round++) {
    // Without its folder of incoming objects the store takes none.
    on_disk([](Task& task) { return task.env().disk().rename(task, "/store/incoming", "/store/away"); });
    cluster.world_.run_for(random.between(3_s, 8_s));
    on_disk([&](Task& task) -> Status {
      TRY_ASSIGN(int n, rot_what_is_not_uploaded(task, random));
      rotten += n;
      return task.env().disk().rename(task, "/store/away", "/store/incoming");
    });
    if (random.chance({1, 2})) {
      cluster.world_.run_for(random.between(0_ms, 3_s));
      cluster.pageserver_->power_loss();
      cluster.pageserver_->restart();
    }
    cluster.world_.run_for(random.between(3_s, 6_s));
  }
  EXPECT_GT(rotten, 0);
  auto checkpoint = cluster.call("PUT", cluster.main_target() + "/checkpoint", json::object());
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().to_string();
  auto pages = cluster.verify(kMain, cluster.model_, cluster.model_.last_acknowledged());
  EXPECT_TRUE(pages.ok()) << pages.error().to_string();
  // What the object store has is whole, too.
  cluster.pageserver_->power_loss();
  cluster.empty_disk_ = true;
  cluster.pageserver_->restart();
  cluster.world_.run_for(3_s);
  pages = cluster.verify(kMain, cluster.model_, cluster.model_.last_acknowledged());
  EXPECT_TRUE(pages.ok()) << pages.error().to_string();
  expect_quiet(cluster);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PageserverRot, testing::Range<uint64_t>(1, 9));

TEST(Pageserver, BadInputAFlippedBitInALayerIsRepairedOrAnErrorThatNamesTheFile) {
  Cluster cluster(3);
  ASSERT_TRUE(cluster.create_main().ok());
  cluster.start_compute();
  cluster.world_.run_for(3_s);
  cluster.compute_->power_loss();
  cluster.world_.run_for(3_s);
  ASSERT_TRUE(cluster.call("PUT", cluster.main_target() + "/checkpoint", json::object()).ok());
  auto damage = [&](const std::string& folder) {
    Result<int> damaged = 0;
    Status done = cluster.world_.run(*cluster.pageserver_, [&](Task& task) -> Status {
      damaged = damage_layers(task, task.env().disk(), folder);
      return {};
    });
    return done.ok() && damaged.ok() ? *damaged : 0;
  };
  Lsn lsn = cluster.model_.last_acknowledged();
  EXPECT_GT(damage("/data"), 0);
  cluster.pageserver_->power_loss();
  cluster.pageserver_->restart();
  cluster.world_.run_for(2_s);
  auto repaired = cluster.verify(kMain, cluster.model_, lsn);
  EXPECT_TRUE(repaired.ok()) << repaired.error().to_string();

  EXPECT_GT(damage("/store"), 0);
  EXPECT_GT(damage("/data"), 0);
  cluster.pageserver_->power_loss();
  cluster.pageserver_->restart();
  cluster.world_.run_for(2_s);
  auto refused = cluster.verify(kMain, cluster.model_, lsn);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("wrong checksum"), std::string::npos)
      << refused.error().to_string();
  EXPECT_NE(refused.error().message().find("tenants/11000000"), std::string::npos)
      << refused.error().to_string();
  EXPECT_TRUE(cluster.call("GET", cluster.main_target(), nullptr).ok());
}

// Safekeepers say that what they have is another tenant's: nothing of it is taken, whatever its pages say.
TEST(Pageserver, BadInputWalThatSafekeepersSayIsOfAnotherSystemIsNotRead) {
  Cluster cluster(6);
  ASSERT_TRUE(cluster.create_main().ok());
  json members = json::array();
  for (int i = 1; i <= kSafekeepers; i++)
    members.push_back({{"id", i}, {"host", node_name(i)}, {"pg_port", 5454}});
  auto detail = cluster.call("GET", cluster.main_target(), nullptr);
  ASSERT_TRUE(detail.ok());
  Status made = cluster.world_.run(*cluster.client_, [&](Task& task) -> Status {
    for (int i = 1; i <= kSafekeepers; i++)
      TRY(http::fetch_json(task, Address::tcp(node_name(i), 7676), "POST", "/v1/tenant/timeline",
                           {{"tenant_id", to_string(kMain.tenant)},
                            {"timeline_id", to_string(kMain.timeline)},
                            {"mconf", {{"generation", 1}, {"members", members}}},
                            {"pg_version", 150000},
                            {"system_id", "4711"},
                            {"start_lsn", (*detail)["initdb_lsn"]}}));
    return {};
  });
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  cluster.start_compute();
  cluster.world_.run_for(10_s);
  auto after = cluster.call("GET", cluster.main_target(), nullptr);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ((*after)["last_record_lsn"], (*detail)["last_record_lsn"]);
  bool said = false;
  for (const std::string& line : cluster.world_.log_lines())
    said = said || line.find("the safekeeper has WAL of system 4711") != std::string::npos;
  EXPECT_TRUE(said);
}

TEST(Pageserver, CreationsThatCannotEndAreBounded) {
  Cluster cluster(7);
  ASSERT_TRUE(cluster.create_main().ok());
  auto move_store = [&](const char* from, const char* to) {
    Status moved = cluster.world_.run(*cluster.pageserver_,
                                      [&](Task& task) { return task.env().disk().rename(task, from, to); });
    EXPECT_TRUE(moved.ok()) << moved.error().to_string();
  };
  auto branch = [&](size_t n) {
    TimelineId id{{0x44, static_cast<uint8_t>(n)}};
    return cluster.call(
        "POST", cluster.timelines(),
        {{"new_timeline_id", to_string(id)}, {"ancestor_timeline_id", to_string(kMain.timeline)}});
  };
  constexpr size_t kMost = pageserver::Tenants::kUndecidedMax;
  // Without its folder of incoming objects the store takes none.
  move_store("/store/incoming", "/store/away");
  for (size_t n = 0; n < kMost + 3; n++) {
    auto made = branch(n);
    ASSERT_FALSE(made.ok());
    bool refused =
        made.error().message().find("64 creations of timelines could not be finished") != std::string::npos;
    EXPECT_EQ(refused, n >= kMost) << n << ": " << made.error().message();
  }
  move_store("/store/away", "/store/incoming");
  for (size_t n = kMost + 3; n-- > 0;) {
    auto made = branch(n);
    EXPECT_TRUE(made.ok()) << n << ": " << made.error().to_string();
  }
  auto list = cluster.call("GET", cluster.timelines(), nullptr);
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->size(), 1 + kMost + 3);
  expect_quiet(cluster);
}

TEST(Pageserver, BadInputUnknownTimelinesAndMalformedRequestsAreErrors) {
  Cluster cluster(4);
  ASSERT_TRUE(cluster.create_main().ok());
  TenantTimelineId unknown{kMain.tenant, {{0x77}}};
  EXPECT_EQ(cluster.call("GET", cluster.timelines() + "/" + to_string(unknown.timeline), nullptr).code(),
            Code::NotFound);
  EXPECT_EQ(cluster.call("GET", cluster.timelines() + "/xyz", nullptr).code(), Code::Invalid);
  json branch = {{"new_timeline_id", to_string(unknown.timeline)},
                 {"ancestor_timeline_id", to_string(kMain.timeline)}};
  branch["ancestor_start_lsn"] = "nonsense";
  EXPECT_EQ(cluster.call("POST", cluster.timelines(), branch).code(), Code::Invalid);
  branch["ancestor_start_lsn"] = "0/1000";
  EXPECT_EQ(cluster.call("POST", cluster.timelines(), branch).code(), Code::Invalid);
  branch["ancestor_start_lsn"] = "FF/0";
  EXPECT_EQ(cluster.call("POST", cluster.timelines(), branch).code(), Code::Invalid);
  json import = {{"new_timeline_id", to_string(unknown.timeline)}, {"import_datadir", "/data"}};
  EXPECT_FALSE(cluster.call("POST", cluster.timelines(), import).ok());
  EXPECT_TRUE(cluster.call("GET", cluster.main_target(), nullptr).ok());
}

// A snapshot where the PITR window begins, and the WAL since then; a branch costs what it changes.
TEST(Pageserver, SyntheticSizeIsOfHistoryAndNotOfLayers) {
  Cluster cluster(41);
  ASSERT_TRUE(cluster.create_main().ok());
  const std::string tenant = "/v1/tenant/" + to_string(kMain.tenant);
  auto size = [&] {
    auto answer = cluster.call("GET", tenant + "/synthetic_size", nullptr);
    EXPECT_TRUE(answer.ok());
    return answer.ok() ? *answer : json();
  };
  auto lsn = [](const json& point) { return parse_lsn(point.at("lsn").get<std::string>())->value; };
  auto shown = cluster.call("GET", cluster.main_target() + "?logical_size", nullptr);
  ASSERT_TRUE(shown.ok());
  json before = size();
  EXPECT_EQ(before.at("size"), shown->at("current_logical_size"));
  ASSERT_EQ(before.at("points").size(), 1u);

  cluster.start_compute();
  cluster.world_.run_for(5_s);
  cluster.compute_->end_supervision();
  cluster.compute_->power_loss();
  cluster.world_.run_for(5_s);
  json written = size();
  ASSERT_EQ(written.at("points").size(), 2u);
  uint64_t wal = lsn(written["points"][1]) - lsn(written["points"][0]);
  EXPECT_GT(wal, 0u);
  EXPECT_EQ(written.at("size").get<uint64_t>(), before.at("size").get<uint64_t>() + wal);
  ASSERT_TRUE(cluster
                  .call("POST", cluster.timelines(),
                        {{"new_timeline_id", std::string(32, '5')},
                         {"ancestor_timeline_id", to_string(kMain.timeline)}})
                  .ok());
  EXPECT_EQ(size().at("size"), written.at("size"));

  ASSERT_TRUE(cluster.call("PUT", cluster.main_target() + "/checkpoint", nullptr).ok());
  json short_history{{"pitr_interval", "0s"}, {"gc_horizon", 0}};
  ASSERT_TRUE(cluster.call("PUT", cluster.main_target() + "/do_gc", short_history).ok());
  json collected = size();
  json root = collected.at("points").at(0);
  EXPECT_EQ(root.at("kept_as"), "snapshot");
  EXPECT_GT(lsn(root), lsn(written["points"][0]));
  EXPECT_EQ(collected.at("size").get<uint64_t>(),
            root.at("logical_size").get<uint64_t>() + lsn(collected["points"].back()) - lsn(root));
}

}  // namespace
}  // namespace argon::sim
