// Damage below running daemons: what they say, what they repair, and that other timelines go on.

#include "core/pg/wal_page.h"
#include "core/wire/pg_wire.h"
#include "core/wire/replication.h"
#include "sim/small_cluster.h"

namespace argon::sim {
namespace {

const TenantTimelineId kOther{{{0x11}}, {{0x44}}};

// A cluster with two timelines, each written by a compute of its own.
class TwoTimelines {
 public:
  explicit TwoTimelines(uint64_t seed) : cluster(seed), other_model(cluster.made_.end) {
    EXPECT_TRUE(cluster.create_main().ok());
    EXPECT_TRUE(cluster.create(kOther).ok());
    cluster.start_compute();
    other = &cluster.start_compute("other", kOther, other_model, other_events);
    cluster.world_.run_for(5_s);
    EXPECT_GT(cluster.events_.commits, 30u);
    EXPECT_GT(other_events.commits, 30u);
  }

  // The other timeline commits, and every page of it reads right.
  void expect_other_works() {
    uint64_t before = other_events.commits;
    cluster.world_.run_for(4_s);
    EXPECT_GT(other_events.commits, before + 20);
    auto pages = cluster.verify(kOther, other_model, other_model.last_acknowledged());
    EXPECT_TRUE(pages.ok()) << pages.error().to_string();
    EXPECT_EQ(other_events.violations, "");
  }
  void change_byte(Machine& machine, const std::string& path, uint64_t offset) {
    Status done = cluster.world_.run(machine, [&](Task& task) -> Status {
      TRY_ASSIGN(auto file, task.env().disk().open(task, path, OpenMode::ReadWrite));
      Bytes byte(1);
      TRY(read_exact_at(task, *file, offset, byte));
      byte[0] ^= 0x10;
      TRY(write_all_at(task, *file, offset, byte));
      return file->fdatasync(task);
    });
    ASSERT_TRUE(done.ok()) << done.error().to_string();
  }
  bool logged(const std::string& what) const {
    for (const std::string& line : cluster.world_.log_lines())
      if (line.find(what) != std::string::npos) return true;
    return false;
  }

  Events other_events;
  Cluster cluster;
  compute::ReferenceModel other_model;
  Machine* other = nullptr;
};

std::string segment_path(const TenantTimelineId& id, Lsn at) {
  return "/data/wal/" + to_string(id.tenant) + "/" + to_string(id.timeline) + "/" +
         pg::segment_file_name(pg::segment_number(at));
}

// What a reader of that safekeeper is told when it reads [from, to).
Status read_wal(Cluster& cluster, const std::string& safekeeper, const TenantTimelineId& id, Lsn from,
                Lsn to) {
  return cluster.world_.run(*cluster.client_, [&](Task& task) -> Status {
    Deadline deadline(task, 20_s);
    TRY_ASSIGN(auto client,
               wire::PgClient::connect(
                   task, Address::tcp(safekeeper, 5454), {{"user", "x"}, {"replication", "true"}},
                   {{"tenant_id", to_string(id.tenant)}, {"timeline_id", to_string(id.timeline)}}));
    TRY(client->start_copy_both(task, wire::to_string(wire::StartReplication{"", from, {}})));
    while (from < to) {
      TRY_ASSIGN(std::optional<ByteView> body, client->read_copy(task));
      if (!body) return Error(Code::Disconnected, "the stream ended");
      TRY_ASSIGN(wire::ReplicationServerMessage message, wire::parse_replication_server_message(*body));
      if (auto* data = std::get_if<wire::XLogData>(&message)) from = data->start + data->data.size();
    }
    return {};
  });
}

TEST(SafekeeperDamage, BadInputAFlippedBitBelowTheFlushPositionIsToldAndThePageserverReadsElsewhere) {
  TwoTimelines t(11);
  Cluster& c = t.cluster;
  // WAL that only safekeepers have, once the pageserver has lost its memory.
  c.pageserver_->faults.begin(faults::Kind::UnsyncedDataLost, 0);
  Lsn from, to;
  for (int i = 0; i < 100 && to <= from + 1000; i++) {  // a layer may have been flushed just now
    c.world_.run_for(20_ms);
    auto detail = c.call("GET", c.main_target(), nullptr);
    ASSERT_TRUE(detail.ok());
    from = *parse_lsn((*detail)["disk_consistent_lsn"].get<std::string>());
    to = c.model_.last_acknowledged();
  }
  c.pageserver_->power_loss();
  ASSERT_GT(to, from + 1000);
  Lsn at(from.value + (to - from) / 2);
  for (int bad : {0, 1}) t.change_byte(*c.safekeepers_[bad], segment_path(kMain, at), pg::segment_offset(at));

  Status told = read_wal(c, "sk1", kMain, c.made_.end, to);
  ASSERT_FALSE(told.ok());
  EXPECT_TRUE(told.is(Code::Corrupt)) << told.error().to_string();
  for (const char* part : {"safekeeper 1", "000000010000000000000001", "changed after it was written"})
    EXPECT_NE(told.error().message().find(part), std::string::npos) << told.error().to_string();
  EXPECT_TRUE(read_wal(c, "sk3", kMain, c.made_.end, to).ok());
  EXPECT_TRUE(read_wal(c, "sk1", kOther, c.made_.end, t.other_model.last_acknowledged()).ok());

  c.pageserver_->restart();
  c.world_.run_for(20_s);
  auto pages = c.verify(kMain, c.model_, to);
  EXPECT_TRUE(pages.ok()) << pages.error().to_string();
  t.expect_other_works();
  expect_quiet(c);
}

const std::string kStore = "/store/objects";

std::string timeline_folder(const TenantTimelineId& id) {
  return "/data/tenants/" + to_string(id.tenant) + "/timelines/" + to_string(id.timeline);
}

TEST(PageserverDamage, BadInputATruncatedIndexIsTakenFromTheObjectStoreAndElseStopsThatTimelineOnly) {
  TwoTimelines t(12);
  Cluster& c = t.cluster;
  ASSERT_TRUE(c.call("PUT", c.main_target() + "/checkpoint", json::object()).ok());
  auto cut = [&](const std::string& path) {
    Status done = c.world_.run(*c.pageserver_, [&](Task& task) -> Status {
      TRY_ASSIGN(auto file, task.env().disk().open(task, path, OpenMode::ReadWrite));
      TRY_ASSIGN(uint64_t size, file->size(task));
      TRY(file->truncate(task, size / 2));
      return file->fdatasync(task);
    });
    ASSERT_TRUE(done.ok()) << done.error().to_string();
  };
  cut(timeline_folder(kMain) + "/index");
  c.pageserver_->power_loss();
  c.pageserver_->restart();
  c.world_.run_for(5_s);
  auto pages = c.verify(kMain, c.model_, c.model_.last_acknowledged());
  EXPECT_TRUE(pages.ok()) << pages.error().to_string();
  t.expect_other_works();

  // Now the object store's too: all of them, since a damaged newest is not passed over in silence.
  std::vector<std::string> indexes;
  std::string folder =
      kStore + "/tenants/" + to_string(kMain.tenant) + "/timelines/" + to_string(kMain.timeline);
  Status listed = c.world_.run(*c.pageserver_, [&](Task& task) -> Status {
    TRY_ASSIGN(auto entries, task.env().disk().list(task, folder));
    for (const DirEntry& entry : entries)
      if (entry.name.starts_with("index-")) indexes.push_back(folder + "/" + entry.name);
    return {};
  });
  ASSERT_TRUE(listed.ok()) << listed.error().to_string();
  ASSERT_FALSE(indexes.empty());
  c.compute_->power_loss();
  for (const std::string& path : indexes) cut(path);
  cut(timeline_folder(kMain) + "/index");
  c.pageserver_->power_loss();
  c.pageserver_->restart();
  c.world_.run_for(5_s);
  EXPECT_FALSE(c.call("GET", c.main_target(), nullptr).ok());
  EXPECT_TRUE(t.logged("cannot be loaded: corrupt")) << "the log says why";
  t.expect_other_works();
}

TEST(PageserverDamage, BadInputAFlippedBitInALayerOfARunningPageserverIsRepairedOrAnErrorOfThatTimeline) {
  TwoTimelines t(13);
  Cluster& c = t.cluster;
  c.compute_->power_loss();
  c.world_.run_for(3_s);
  ASSERT_TRUE(c.call("PUT", c.main_target() + "/checkpoint", json::object()).ok());
  Lsn lsn = c.model_.last_acknowledged();
  auto damage = [&](const std::string& folder) {
    int damaged = 0;
    Status done = c.world_.run(*c.pageserver_, [&](Task& task) -> Status {
      Disk& disk = task.env().disk();
      TRY_ASSIGN(auto entries, disk.list(task, folder));
      for (const DirEntry& entry : entries) {
        if (!pageserver::parse_layer_name(entry.name).ok()) continue;
        std::string path = join_path(folder, entry.name);
        TRY_ASSIGN(Bytes bytes, read_file(task, disk, path));
        TRY_ASSIGN(auto file, disk.open(task, path, OpenMode::ReadWrite));
        for (size_t at = 100; at < bytes.size(); at += pageserver::kLayerBlock) {
          Bytes byte(1, static_cast<uint8_t>(bytes[at] ^ 4));
          TRY(write_all_at(task, *file, at, byte));
        }
        damaged++;
      }
      return {};
    });
    EXPECT_TRUE(done.ok()) << done.error().to_string();
    return damaged;
  };
  EXPECT_GT(damage(timeline_folder(kMain)), 0);
  auto repaired = c.verify(kMain, c.model_, lsn);
  EXPECT_TRUE(repaired.ok()) << repaired.error().to_string();
  t.expect_other_works();

  std::string store =
      kStore + "/tenants/" + to_string(kMain.tenant) + "/timelines/" + to_string(kMain.timeline);
  EXPECT_GT(damage(store), 0);
  EXPECT_GT(damage(timeline_folder(kMain)), 0);
  c.pageserver_->power_loss();  // what was read before is in its cache
  c.pageserver_->restart();
  c.world_.run_for(3_s);
  auto refused = c.verify(kMain, c.model_, lsn);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("wrong checksum"), std::string::npos)
      << refused.error().to_string();
  t.expect_other_works();
}

}  // namespace
}  // namespace argon::sim
