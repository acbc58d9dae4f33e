// A stock server runs on the base backups we make of its own cluster: as primary with prepared
// transactions, unlogged tables, a tablespace and a slot; as hot standby; and on import every file of its
// data directory is known.

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "core/pg/basebackup.h"
#include "core/pg/checkpoint_tracker.h"
#include "core/pg/datadir.h"
#include "core/pg/stock_server.h"

namespace argon::pg {
namespace {

using test::Output;
using test::StockCluster;
namespace fs = std::filesystem;

template <typename Map>
std::vector<typename Map::key_type> keys(const Map& map) {
  std::vector<typename Map::key_type> out;
  for (auto& [key, value] : map) out.push_back(key);
  return out;
}

// Reads a cluster that was shut down cleanly, as the pageserver imports one.
class DirectorySource : public BasebackupSource {
 public:
  explicit DirectorySource(const std::string& root) : root_(root) {
    auto options = fs::directory_options::follow_directory_symlink;
    for (const auto& entry : fs::recursive_directory_iterator(root, options)) {
      if (!entry.is_regular_file()) continue;
      std::string path = entry.path().string().substr(root.size() + 1);
      DataPath known = classify_data_path(path);
      switch (known.kind) {
        case DataPath::Kind::Relation:
          if (known.rel.node.spc > kGlobalTablespace)
            folders_[{known.rel.node.spc, known.rel.node.db, false}];
          rels_[known.rel] = path;
          break;
        case DataPath::Kind::RelMap:
          folders_[{known.rel.node.spc, known.rel.node.db, true}] = path;
          break;
        case DataPath::Kind::SlruSegment:
          slrus_[{known.slru, static_cast<uint32_t>(known.number)}] = path;
          break;
        case DataPath::Kind::TwoPhase:
          prepared_[static_cast<Xid>(known.number)] = path;
          break;
        case DataPath::Kind::Unknown:
          unknown.push_back(path);
          break;
        default:
          break;
      }
    }
  }
  Result<std::vector<DatabaseFolder>> databases() override { return keys(folders_); }
  Result<Bytes> relation_map(Oid spc, Oid db) override { return read(folders_[{spc, db, true}]); }
  Result<std::vector<uint32_t>> slru_segments(Slru slru) override {
    std::vector<uint32_t> out;
    for (auto& [key, path] : slrus_)
      if (key.first == slru) out.push_back(key.second);
    return out;
  }
  Result<Bytes> slru_segment(Slru slru, uint32_t segment) override { return read(slrus_[{slru, segment}]); }
  Result<std::vector<Xid>> prepared_transactions() override { return keys(prepared_); }
  Result<Bytes> prepared_state(Xid xid) override { return two_phase_state(read(prepared_[xid])); }
  Result<std::vector<RelTag>> relations(bool only_init) override {
    std::vector<RelTag> out;
    for (auto& [tag, path] : rels_)
      if (!only_init || tag.fork == Fork::Init) out.push_back(tag);
    return out;
  }
  Result<BlockNumber> relation_size(const RelTag& rel) override {
    return static_cast<BlockNumber>(fs::file_size(root_ + "/" + rels_[rel]) / kBlockSize);
  }
  Result<Bytes> read_pages(const RelTag& rel, BlockNumber first, BlockNumber count) override {
    Bytes file = read(rels_[rel]);
    auto at = file.begin() + static_cast<ptrdiff_t>(first * kBlockSize);
    return Bytes(at, at + static_cast<ptrdiff_t>(count * kBlockSize));
  }

  std::vector<std::string> unknown;

 private:
  Bytes read(const std::string& path) { return test::read_file(root_ + "/" + path); }

  std::string root_;
  std::map<RelTag, std::string> rels_;
  std::map<DatabaseFolder, std::string> folders_;
  std::map<std::pair<Slru, uint32_t>, std::string> slrus_;
  std::map<Xid, std::string> prepared_;
};

// A cluster with what a base backup must not lose, stopped cleanly.
void fill(StockCluster& cluster) {
  ASSERT_EQ(cluster.start("-c max_prepared_transactions=5 -c track_commit_timestamp=on").status, 0);
  std::string space = cluster.folder() + "/space";
  ASSERT_EQ(test::run("mkdir " + space).status, 0);
  for (const std::string& sql : {
           std::string("create table t(i int primary key, x text)"),
           std::string("insert into t select g, 'row' from generate_series(1, 500) g"),
           std::string("create unlogged table u(i int primary key)"),
           std::string("insert into u select generate_series(1, 10)"),
           "create tablespace side location '" + space + "'",
           std::string("create table s(i int) tablespace side"),
           std::string("insert into s values (1), (2)"),
           std::string("create database other"),
           std::string(
               "begin; insert into t values (-1, 'prepared'); savepoint a; insert into t values (-2, 'sub');"
               "prepare transaction 'held'"),
           std::string("begin; select * from t where i = 1 for share; savepoint a; update t set x = 'm' "
                       "where i = 1; commit"),
       }) {
    // One statement at a time where the server insists on it.
    Output out = cluster.sql(sql);
    ASSERT_EQ(out.status, 0) << sql << ": " << out.text;
  }
  ASSERT_EQ(cluster.stop().status, 0);
}

// Unpacks our archive by the system's tar, so that two programs agree on the format.
void unpack(StockCluster& cluster, const Bytes& archive, const std::string& name) {
  test::write_file(cluster.folder() + "/" + name + ".tar", archive);
  Output out = test::run("cd " + cluster.folder() + " && mkdir -m 700 " + name + " && tar -xf " + name +
                         ".tar -C " + name);
  ASSERT_EQ(out.status, 0) << out.text;
}

class StockBackup : public testing::Test {
 protected:
  void SetUp() override {
    fill(cluster);
    auto decoded = decode_control_file(test::read_file(cluster.path("global/pg_control")));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message();
    control = *decoded;
    WalIdentity identity{control.system_id, 1};
    auto start = fabricate_checkpoint(identity, control.checkpoint,
                                      checkpoint_record_end(control.checkpoint_lsn), control.checkpoint_lsn);
    ASSERT_TRUE(start.ok()) << start.error().message();
    options.control = control_at(control, *start, control.settings);
    options.wal = start->segments(identity);
    options.content = BasebackupOptions::Content::Everything;
    options.slot = "argon";
    options.slot_lsn = start->record;
  }
  // Backs the cluster up into a new folder that takes the old one's place.
  void replace() {
    DirectorySource source(cluster.data());
    EXPECT_TRUE(source.unknown.empty()) << source.unknown[0];
    Bytes archive;
    Status status = write_basebackup(source, options, [&](ByteView bytes) -> Status {
      append(archive, bytes);
      return {};
    });
    ASSERT_TRUE(status.ok()) << status.error().message();
    unpack(cluster, archive, "copy");
    fs::rename(cluster.data(), cluster.folder() + "/old");
    fs::rename(cluster.folder() + "/copy", cluster.data());
  }
  std::string sql(const std::string& text) { return cluster.sql(text).text; }

  StockCluster cluster{"-k"};
  ControlFile control;
  BasebackupOptions options;
};

TEST_F(StockBackup, AServerRunsOnItAsPrimary) {
  replace();
  Output started = cluster.start("-c max_prepared_transactions=5 -c track_commit_timestamp=on");
  ASSERT_EQ(started.status, 0) << started.text;
  EXPECT_EQ(sql("select count(*) from t"), "500\n");
  EXPECT_EQ(sql("commit prepared 'held'"), "COMMIT PREPARED\n");
  EXPECT_EQ(sql("select count(*) from t where i < 0"), "2\n");
  EXPECT_EQ(sql("select count(*) from u"), "0\n") << "an unlogged table starts empty";
  EXPECT_EQ(sql("insert into u select generate_series(1, 3); select count(*) from u"), "INSERT 0 3\n3\n");
  EXPECT_EQ(sql("select sum(i) from s"), "3\n");
  EXPECT_EQ(sql("select x from t where i = 1"), "m\n");
  EXPECT_EQ(sql("select count(*) from t where pg_xact_commit_timestamp(xmin) is not null"), "502\n");
  EXPECT_EQ(sql("select slot_name, slot_type, restart_lsn from pg_replication_slots"),
            "argon|physical|" + to_string(options.slot_lsn) + "\n");
  EXPECT_EQ(sql("create table w as select generate_series(1, 100) i"), "SELECT 100\n");
  EXPECT_EQ(sql("vacuum"), "VACUUM\n");
  EXPECT_EQ(cluster.stop().status, 0);
  Output checked = test::run(test::program("pg_checksums") + " --check -D " + cluster.data());
  EXPECT_EQ(checked.status, 0) << checked.text;
}

// The segment is a sparse entry then, which the system's tar unpacks.
TEST_F(StockBackup, OfAComputeUnpacksToTheSameWalSegment) {
  options.content = BasebackupOptions::Content::Compute;
  replace();
  ASSERT_EQ(options.wal.size(), 1u);
  EXPECT_LT(fs::file_size(cluster.folder() + "/copy.tar"), kWalSegmentSize / 2);
  EXPECT_TRUE(test::read_file(cluster.path("pg_wal/" + options.wal[0].name)) == options.wal[0].bytes());
  EXPECT_TRUE(fs::exists(cluster.path("global/pg_control")));
}

TEST(SystemTar, ItsSparseEntriesReadBack) {
  std::string folder = test::run("mktemp -d /tmp/argon_tar_test.XXXXXX").text;
  folder.resize(folder.find('\n'));
  ASSERT_EQ(
      test::run("cd " + folder +
                " && truncate -s 1000000 f && "
                "printf data | dd of=f bs=1 seek=500000 conv=notrunc && tar --format=gnu -S -cf a.tar f")
          .status,
      0);
  Bytes archive = test::read_file(folder + "/a.tar"), wanted = test::read_file(folder + "/f"), got;
  TarReader reader;
  reader.feed(archive);
  for (;;) {
    auto event = reader.next();
    ASSERT_TRUE(event.ok()) << event.error().message();
    if (*event == TarReader::Event::Data) append(got, reader.data());
    if (*event == TarReader::Event::End) break;
    ASSERT_NE(*event, TarReader::Event::NeedMore);
  }
  EXPECT_LT(archive.size(), wanted.size() / 10);
  EXPECT_TRUE(got == wanted);
  fs::remove_all(folder);
}

TEST_F(StockBackup, AServerRunsOnItAsAReadOnlyStandbyAtOnce) {
  options.role = BasebackupOptions::Role::Standby;
  options.slot.clear();
  replace();
  Output started = cluster.start("-c max_prepared_transactions=5");
  ASSERT_EQ(started.status, 0) << started.text;
  EXPECT_EQ(sql("select pg_is_in_recovery()"), "t\n");
  EXPECT_EQ(sql("select count(*) from t"), "500\n");
  EXPECT_EQ(sql("select sum(i) from s"), "3\n");
  EXPECT_NE(sql("insert into t values (1000, '')").find("read-only"), std::string::npos);
  EXPECT_EQ(cluster.stop().status, 0);
}

}  // namespace
}  // namespace argon::pg
