// Tar, the names of files in a data directory, the made cluster, and what a base backup contains.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>

#include "core/base/random.h"
#include "core/pg/basebackup.h"
#include "core/pg/datadir.h"
#include "core/pg/made_datadir.h"
#include "core/pg/page.h"
#include "core/pg/relmap.h"
#include "core/pg/tar.h"
#include "core/pg/wal_stream.h"

namespace argon::pg {
namespace {

TarSink into(Bytes& out) {
  return [&out](ByteView bytes) -> Status {
    append(out, bytes);
    return {};
  };
}

struct Unpacked {
  std::vector<TarEntry> entries;
  std::map<std::string, Bytes> files;
};

Result<Unpacked> unpack(ByteView archive, size_t step) {
  Unpacked out;
  TarReader reader;
  for (;;) {
    TRY_ASSIGN(auto event, reader.next());
    if (event == TarReader::Event::End) return out;
    if (event == TarReader::Event::NeedMore) {
      if (archive.empty()) return Error(Code::Corrupt, "cut off");
      size_t n = std::min(step, archive.size());
      reader.feed(archive.first(n));
      archive = archive.subspan(n);
    } else if (event == TarReader::Event::Entry) {
      out.entries.push_back(reader.entry());
      if (reader.entry().kind == TarKind::File) out.files[reader.entry().name];
    } else {
      append(out.files[reader.entry().name], reader.data());
    }
  }
}

TEST(Tar, WhatIsWrittenReadsBackWhateverTheFeeds) {
  rc::check([](uint64_t seed) {
    Random random(seed);
    Bytes archive;
    TarWriter writer(into(archive), 1'700'000'000);
    std::map<std::string, Bytes> files;
    uint64_t n = random.below(8);
    for (uint64_t i = 0; i < n; i++) {
      std::string name = "folder/file" + std::to_string(i);
      if (random.chance({1, 5})) RC_ASSERT(writer.directory(name).ok());
      if (random.chance({1, 5})) RC_ASSERT(writer.symlink(name, "/else/where").ok());
      files[name].resize(random.below(3000));
      random.fill(files[name]);
      RC_ASSERT(writer.file(name, files[name]).ok());
    }
    RC_ASSERT(writer.finish().ok());
    RC_ASSERT(archive.size() % kTarBlock == 0);
    auto back = unpack(archive, random.log_uniform(1, archive.size()));
    if (!back.ok()) RC_FAIL(back.error().to_string());
    RC_ASSERT(back->files == files);
  });
}

TEST(Tar, UnsafeNamesBrokenHeadersAndUnknownKindsAreRefused) {
  for (const char* name : {"/etc/passwd", "a/../../b", "..", "a//b", "./a"}) {
    Bytes archive;
    TarWriter writer(into(archive), 0);
    ASSERT_TRUE(writer.file(name, {}).ok());
    EXPECT_TRUE(unpack(archive, 512).is(Code::Corrupt)) << name;
  }
  Bytes archive;
  TarWriter writer(into(archive), 0);
  EXPECT_TRUE(writer.file(std::string(100, 'x'), {}).is(Code::Invalid));
  ASSERT_TRUE(writer.file("a", as_bytes("b")).ok());
  Bytes broken = archive;
  broken[0] = 'z';
  EXPECT_TRUE(unpack(broken, 512).is(Code::Corrupt));
  // 'L' (a GNU long name) instead of '0'; the checksum follows: two bytes of octal digits.
  Bytes unknown = archive;
  unknown[156] = 'L';
  uint32_t sum = 8 * ' ';
  for (size_t i = 0; i < 512; i++)
    if (i < 148 || i >= 156) sum += unknown[i];
  std::snprintf(reinterpret_cast<char*>(unknown.data()) + 148, 8, "%07o", sum);
  EXPECT_TRUE(unpack(unknown, 512).is(Code::Unsupported));
}

TEST(Tar, SparseFilesReadBackWhole) {
  rc::check([](uint64_t seed) {
    Random random(seed);
    Bytes file(random.below(40) * kTarBlock);
    std::vector<TarRun> runs;
    size_t blocks = file.size() / kTarBlock;
    for (size_t at = random.below(10); runs.size() < kMaxTarRuns && at < blocks; at += 1 + random.below(10)) {
      uint64_t n = random.between(1, blocks - at);
      ByteSpan run = ByteSpan(file).subspan(at * kTarBlock, n * kTarBlock);
      random.fill(run);
      runs.push_back({at * kTarBlock, run});
      at += n;
    }
    Bytes archive;
    TarWriter writer(into(archive), 0);
    RC_ASSERT(writer.sparse_file("sparse", file.size(), runs).ok());
    RC_ASSERT(writer.file("next", as_bytes("x")).ok());
    RC_ASSERT(writer.finish().ok());
    auto back = unpack(archive, random.log_uniform(1, archive.size()));
    if (!back.ok()) RC_FAIL(back.error().to_string());
    RC_ASSERT(back->files["sparse"] == file);
    RC_ASSERT(back->entries[0].size == file.size());
    RC_ASSERT(as_text(back->files["next"]) == "x");
  });
}

TEST(Tar, AFileBeyondEightGigabytesKeepsItsSize) {
  Bytes archive;
  TarWriter writer(into(archive), 0);
  ASSERT_TRUE(writer.begin_file("big", uint64_t{20} << 30).ok());
  TarReader reader;
  reader.feed(archive);
  ASSERT_EQ(*reader.next(), TarReader::Event::Entry);
  EXPECT_EQ(reader.entry().size, uint64_t{20} << 30);
}

TEST(DataPath, FilesAreKnownByTheirPaths) {
  using Kind = DataPath::Kind;
  auto kind = [](std::string_view path) { return classify_data_path(path).kind; };
  DataPath rel = classify_data_path("base/5/16384_vm.2");
  EXPECT_EQ(rel.kind, Kind::Relation);
  EXPECT_EQ(to_string(rel.rel), "1663/5/16384_vm");
  EXPECT_EQ(rel.file, 2u);
  EXPECT_EQ(to_string(classify_data_path("global/1260").rel), "1664/0/1260");
  EXPECT_EQ(to_string(classify_data_path("pg_tblspc/17000/PG_15_202209061/5/17001_init").rel),
            "17000/5/17001_init");
  EXPECT_EQ(kind("global/pg_control"), Kind::Control);
  EXPECT_EQ(kind("global/pg_filenode.map"), Kind::RelMap);
  EXPECT_EQ(classify_data_path("base/5/pg_filenode.map").rel.node.db, 5u);
  EXPECT_EQ(kind("base/5/PG_VERSION"), Kind::DatabaseVersion);
  EXPECT_EQ(kind("PG_VERSION"), Kind::ClusterVersion);
  EXPECT_EQ(classify_data_path("pg_multixact/members/00FF").number, 0xFFu);
  EXPECT_EQ(classify_data_path("pg_multixact/members/00FF").slru, Slru::MultiXactMembers);
  EXPECT_EQ(classify_data_path("pg_twophase/000002D5").number, 0x2D5u);
  EXPECT_EQ(classify_data_path("pg_wal/0000000100000000000000FF").number, 0xFFu);
  EXPECT_EQ(kind("pg_hba.conf"), Kind::Config);
  for (const char* path : {"postmaster.pid", "base/5/pg_internal.init", "base/5/t3_16384",
                           "pg_stat/pgstat.stat", "pg_subtrans/0000", "base/pgsql_tmp/pgsql_tmp7.0"})
    EXPECT_EQ(kind(path), Kind::Transient) << path;
  for (const char* path : {"", "base", "base/5/x", "base/x/5", "base/5/16384_foo", "base/5/016384",
                           "base/0/5", "pg_xact/XYZ", "pg_tblspc/17000/PG_14_1/5/17001", "something/else"})
    EXPECT_EQ(kind(path), Kind::Unknown) << path;
}

// A cluster in memory, made from the files of make_datadir and more.
class MemorySource : public BasebackupSource {
 public:
  explicit MemorySource(const MadeDataDir& made) {
    for (const MadeFile& file : made.files) {
      DataPath path = classify_data_path(file.path);
      if (path.kind == DataPath::Kind::Relation) rels[path.rel] = file.bytes;
      if (path.kind == DataPath::Kind::RelMap) maps[{path.rel.node.spc, path.rel.node.db, true}] = file.bytes;
      if (path.kind == DataPath::Kind::SlruSegment) slrus[{path.slru, path.number}] = file.bytes;
    }
  }
  Result<std::vector<DatabaseFolder>> databases() override {
    std::vector<DatabaseFolder> out;
    for (auto& [folder, bytes] : maps) out.push_back(folder);
    return out;
  }
  Result<Bytes> relation_map(Oid spc, Oid db) override { return maps[{spc, db, true}]; }
  Result<std::vector<uint32_t>> slru_segments(Slru slru) override {
    std::vector<uint32_t> out;
    for (auto& [key, bytes] : slrus)
      if (key.first == slru) out.push_back(static_cast<uint32_t>(key.second));
    return out;
  }
  Result<Bytes> slru_segment(Slru slru, uint32_t segment) override { return slrus[{slru, segment}]; }
  Result<std::vector<Xid>> prepared_transactions() override {
    std::vector<Xid> out;
    for (auto& [xid, state] : prepared) out.push_back(xid);
    return out;
  }
  Result<Bytes> prepared_state(Xid xid) override { return prepared[xid]; }
  Result<std::vector<RelTag>> relations(bool only_init) override {
    std::vector<RelTag> out;
    for (auto& [tag, bytes] : rels)
      if (!only_init || tag.fork == Fork::Init) out.push_back(tag);
    return out;
  }
  Result<BlockNumber> relation_size(const RelTag& rel) override {
    return static_cast<BlockNumber>(rels[rel].size() / kBlockSize);
  }
  Result<Bytes> read_pages(const RelTag& rel, BlockNumber first, BlockNumber count) override {
    if (rel == unreadable) return Error(Code::Corrupt, "layer lost");
    auto at = rels[rel].begin() + static_cast<ptrdiff_t>(first * kBlockSize);
    return Bytes(at, at + static_cast<ptrdiff_t>(count * kBlockSize));
  }

  std::map<RelTag, Bytes> rels;
  std::map<DatabaseFolder, Bytes> maps;
  std::map<std::pair<Slru, uint64_t>, Bytes> slrus;
  std::map<Xid, Bytes> prepared;
  RelTag unreadable;
};

class Basebackup : public testing::Test {
 protected:
  Basebackup() : made(make_datadir({.relations = 2, .blocks = 3, .data_checksums = true})), source(made) {
    options.control = made.control;
    init = {{kDefaultTablespace, kPostgresDb, 20000}, Fork::Init};
    source.rels[init] = source.rels[made.relations[0]];
    source.rels[{init.node, Fork::Main}] = Bytes(5 * kBlockSize);
    source.prepared[725] = to_bytes("state");
    options.slot = "argon";
    options.slot_lsn = made.end;
  }
  Result<Unpacked> take() {
    Bytes archive;
    TRY(write_basebackup(source, options, into(archive)));
    return unpack(archive, 4096);
  }
  MadeDataDir made;
  MemorySource source;
  BasebackupOptions options;
  RelTag init;
};

TEST_F(Basebackup, OfAComputeHoldsUnloggedRelationsTwiceAndNoOthers) {
  auto fabricated =
      fabricate_checkpoint({made.control.system_id, 1}, made.control.checkpoint, made.end, made.last_record);
  ASSERT_TRUE(fabricated.ok());
  options.wal = fabricated->segments({made.control.system_id, 1});
  auto got = take();
  ASSERT_TRUE(got.ok()) << got.error().to_string();
  auto& files = got->files;
  EXPECT_TRUE(files.contains("base/5/20000_init"));
  EXPECT_EQ(files["base/5/20000"], files["base/5/20000_init"]);
  EXPECT_EQ(files["base/5/20000"].size(), 3 * kBlockSize);
  EXPECT_FALSE(files.contains("base/5/16384"));
  EXPECT_EQ(as_text(files["base/5/PG_VERSION"]), "15\n");
  EXPECT_TRUE(decode_relmap(files["global/pg_filenode.map"]).ok());
  EXPECT_EQ(files["pg_xact/0000"].size(), kBlockSize);
  EXPECT_EQ(*two_phase_state(files["pg_twophase/000002D5"]), to_bytes("state"));
  EXPECT_EQ(files["pg_replslot/argon/state"].size(), 200u);
  EXPECT_TRUE(files["pg_wal/000000010000000000000001"] == options.wal[0].bytes());
  EXPECT_FALSE(files.contains("standby.signal"));
  EXPECT_EQ(got->entries.back().name, "global/pg_control");
  EXPECT_EQ(*decode_control_file(files["global/pg_control"]), options.control);
}

TEST_F(Basebackup, OfAComputeIsSmallWhereverItStarts) {
  for (uint64_t s : {kWalSegmentSize * 2, kWalSegmentSize * 2 + 5 * kWalBlockSize - 64,
                     kWalSegmentSize * 2 + 4'000'000, kWalSegmentSize * 3 - 64}) {
    WalIdentity identity{made.control.system_id, 1};
    auto start = fabricate_checkpoint(identity, made.control.checkpoint, Lsn(s), Lsn());
    ASSERT_TRUE(start.ok());
    options.wal = start->segments(identity);
    Bytes archive;
    ASSERT_TRUE(write_basebackup(source, options, into(archive)).ok());
    EXPECT_LT(archive.size(), 200'000u);
    auto got = unpack(archive, 4096);
    ASSERT_TRUE(got.ok()) << got.error().to_string();
    for (const SegmentFile& file : options.wal)
      EXPECT_TRUE(got->files["pg_wal/" + file.name] == file.bytes());
  }
}

TEST_F(Basebackup, OfEverythingHoldsAllRelationsWithChecksumsOfTheirOwn) {
  options.content = BasebackupOptions::Content::Everything;
  options.role = BasebackupOptions::Role::Standby;
  auto& pages = source.rels[made.relations[1]];
  set_page_lsn(ByteSpan(pages).first(kBlockSize), Lsn(0x5000));  // its checksum is stale now
  auto got = take();
  ASSERT_TRUE(got.ok()) << got.error().to_string();
  EXPECT_TRUE(got->files.contains("standby.signal"));
  Bytes& file = got->files["base/5/16385"];
  ASSERT_EQ(file.size(), 3 * kBlockSize);
  for (BlockNumber i = 0; i < 3; i++)
    EXPECT_TRUE(check_page(ByteView(file).subspan(i * kBlockSize, kBlockSize), i, true).ok());
  EXPECT_EQ(got->files["base/5/20000"].size(), 3 * kBlockSize) << "the init fork, not the unlogged rows";
}

TEST_F(Basebackup, UserTablespacesLieInTheDataDirectoryBehindLinks) {
  options.content = BasebackupOptions::Content::Everything;
  source.maps[{17000, 5, false}];
  source.rels[{{17000, 5, 17001}, Fork::Main}] = Bytes(kBlockSize);
  auto got = take();
  ASSERT_TRUE(got.ok()) << got.error().to_string();
  std::map<std::string, TarEntry> entries;
  for (const TarEntry& entry : got->entries) entries[entry.name] = entry;
  EXPECT_EQ(entries["argon_tablespaces/17000/PG_15_202209061/5"].kind, TarKind::Directory);
  EXPECT_EQ(entries["pg_tblspc/17000"].kind, TarKind::Symlink);
  EXPECT_EQ(entries["pg_tblspc/17000"].target, "../argon_tablespaces/17000");
  EXPECT_EQ(got->files["argon_tablespaces/17000/PG_15_202209061/5/17001"].size(), kBlockSize);
}

TEST_F(Basebackup, AnErrorOfTheSourceOrADamagedMapNamesTheFileAndEndsTheBackup) {
  source.unreadable = init;
  auto got = take();
  ASSERT_TRUE(got.is(Code::Corrupt));
  EXPECT_NE(got.error().message().find("base/5/20000_init: layer lost"), std::string::npos)
      << got.error().message();
  source.unreadable = {};
  source.maps[{kDefaultTablespace, 5, true}][100] ^= 1;
  EXPECT_TRUE(take().is(Code::Corrupt));
}

TEST(TwoPhaseFile, DamageIsNoticed) {
  Bytes file = two_phase_file(to_bytes("state of a transaction"));
  EXPECT_TRUE(two_phase_state(file).ok());
  file[3] ^= 1;
  EXPECT_TRUE(two_phase_state(file).is(Code::Corrupt));
  EXPECT_TRUE(two_phase_state(Bytes(2)).is(Code::Corrupt));
}

TEST(MadeDataDir, IsAPureFunctionAndItsWalEndsWhereItSays) {
  MadeOptions options{.system_id = 77, .relations = 3, .blocks = 2, .wal = true};
  MadeDataDir a = make_datadir(options), b = make_datadir(options);
  ASSERT_EQ(a.files.size(), b.files.size());
  for (size_t i = 0; i < a.files.size(); i++) {
    EXPECT_EQ(a.files[i].path, b.files[i].path);
    EXPECT_TRUE(a.files[i].bytes == b.files[i].bytes);
    EXPECT_NE(classify_data_path(a.files[i].path).kind, DataPath::Kind::Unknown) << a.files[i].path;
  }
  EXPECT_EQ(a.relations.size(), 3u);
  EXPECT_EQ(checkpoint_record_end(a.last_record), a.end);
  for (const MadeFile& file : a.files) {
    if (classify_data_path(file.path).kind != DataPath::Kind::WalSegment) continue;
    WalStreamDecoder decoder(Lsn(kWalSegmentSize), {77, 1});
    decoder.feed(file.bytes);
    DecodedRecord record;
    ASSERT_TRUE(*decoder.next(record));
    EXPECT_EQ(record.start_lsn, a.last_record);
    EXPECT_FALSE(decoder.next(record).ok());
    EXPECT_EQ(decoder.last_end(), a.end);
  }
}

}  // namespace
}  // namespace argon::pg
