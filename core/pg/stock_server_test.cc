// Against the stock server: its files read as we read them, and it starts from, goes on behind, and
// reads back what we make.

#include "core/pg/stock_server.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "core/base/codec.h"
#include "core/pg/checkpoint_tracker.h"
#include "core/pg/control_file.h"
#include "core/pg/fabricated_checkpoint.h"
#include "core/pg/page.h"
#include "core/pg/record_makers.h"
#include "core/pg/record_types.h"
#include "core/pg/relmap.h"
#include "core/pg/wal_builder.h"
#include "core/pg/wal_stream.h"

namespace argon::pg {
namespace {

using test::Output;
using test::StockCluster;
namespace fs = std::filesystem;

// The cluster's WAL files, from the segment of `from` on, fed to `decoder`; records go to `take`.
// Ends at the first error, whose text is returned, or at the last segment's end.
template <typename Take>
std::string read_wal(const StockCluster& cluster, Lsn from, WalStreamDecoder& decoder, Take take) {
  for (uint64_t n = segment_number(from);; n++) {
    std::string path = cluster.path("pg_wal/" + segment_file_name(n));
    if (!fs::exists(path)) return "no more segments";
    Bytes bytes = test::read_file(path);
    ByteView part =
        n == segment_number(from) ? ByteView(bytes).subspan(segment_offset(from)) : ByteView(bytes);
    decoder.feed(part);
    DecodedRecord record;
    for (;;) {
      auto found = decoder.next(record);
      if (!found.ok()) return found.error().message();
      if (!*found) break;
      take(record);
    }
  }
}

TEST(StockServer, ItsFilesReadBackAndWriteTheSame) {
  StockCluster cluster("-k");
  Bytes control_bytes = test::read_file(cluster.path("global/pg_control"));
  auto control = decode_control_file(control_bytes);
  ASSERT_TRUE(control.ok()) << control.error().to_string();
  EXPECT_EQ(encode_control_file(*control), control_bytes);
  EXPECT_EQ(control->state, ClusterState::ShutDown);
  EXPECT_TRUE(control->data_checksums());
  EXPECT_EQ(control->checkpoint.redo, control->checkpoint_lsn);
  for (const char* map : {"global/pg_filenode.map", "base/5/pg_filenode.map"}) {
    Bytes bytes = test::read_file(cluster.path(map));
    auto decoded = decode_relmap(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.error().to_string();
    EXPECT_EQ(encode_relmap(*decoded), bytes);
    EXPECT_GT(decoded->entries.size(), 10u);
  }
  EXPECT_EQ(as_text(test::read_file(cluster.path("PG_VERSION"))), kVersionFile);
}

TEST(StockServer, ItsPageChecksumsAreOurs) {
  StockCluster cluster("-k");
  size_t pages = 0, filled = 0;
  for (const auto& entry : fs::directory_iterator(cluster.path("base/5"))) {
    if (!std::isdigit(entry.path().filename().string()[0])) continue;
    Bytes file = test::read_file(entry.path());
    for (size_t at = 0; at < file.size(); at += kBlockSize, pages++) {
      ByteView page = ByteView(file).subspan(at, kBlockSize);
      auto block = static_cast<BlockNumber>(at / kBlockSize);
      Status status = check_page(page, block, true);
      EXPECT_TRUE(status.ok()) << entry.path() << ": " << status.error().message();
      filled += !page_is_new(page);
    }
  }
  EXPECT_GT(filled, 500u);
}

TEST(StockServer, ItsWalDecodesToTheEndAndTheTrackerAgreesWithItsShutdown) {
  StockCluster cluster;
  auto control = decode_control_file(test::read_file(cluster.path("global/pg_control")));
  ASSERT_TRUE(control.ok());
  ASSERT_EQ(cluster
                .start("-c max_prepared_transactions=5 -c wal_compression=lz4 -c track_commit_timestamp=on "
                       "-c wal_log_hints=on")
                .status,
            0);
  Output sql = cluster.sql(
      "create table t(i int primary key, x text); insert into t select g, repeat('x', 500) from "
      "generate_series(1,3000) g;"
      "update t set x = 'y' where i % 3 = 0; delete from t where i % 7 = 0;");
  ASSERT_EQ(sql.status, 0) << sql.text;
  ASSERT_EQ(cluster.sql("begin; insert into t values (-1, 'p'); prepare transaction 'held'").status, 0);
  ASSERT_EQ(cluster.sql("begin; savepoint a; insert into t values (-2, 'p'); rollback").status, 0);
  // Multixacts: a row locked by a transaction and its subtransaction.
  for (int i = 1; i < 20; i++)
    ASSERT_EQ(cluster
                  .sql("begin; select * from t where i = " + std::to_string(i * 3 + 1) +
                       " for key share; savepoint a; update t set x = 'm' where i = " +
                       std::to_string(i * 3 + 1) + "; commit")
                  .status,
              0);
  ASSERT_EQ(cluster.sql("select pg_switch_wal()").status, 0);
  ASSERT_EQ(cluster.sql("checkpoint").status, 0);
  ASSERT_EQ(cluster.sql("create table u as select 1 as one").status, 0);
  ASSERT_EQ(cluster.stop().status, 0);
  auto after = decode_control_file(test::read_file(cluster.path("global/pg_control")));
  ASSERT_TRUE(after.ok());

  Lsn start = control->checkpoint_lsn;
  CheckpointTracker tracker(*control);
  WalStreamDecoder decoder(start, {control->system_id, 1});
  size_t records = 0, images = 0;
  Checkpoint before_shutdown;
  std::string why = read_wal(cluster, start, decoder, [&](const DecodedRecord& record) {
    records++;
    before_shutdown = tracker.exact().checkpoint;
    auto applied = tracker.apply(record);
    EXPECT_TRUE(applied.ok()) << applied.error().message();
    for (const DecodedBlock& block : record.blocks()) {
      if (!block.has_image) continue;
      Bytes page(kBlockSize);
      Status restored = restore_image(block, page);
      EXPECT_TRUE(restored.ok()) << restored.error().message();
      EXPECT_TRUE(check_page(page, block.blkno, false).ok());
      images++;
    }
  });
  EXPECT_GT(records, 5000u);
  EXPECT_GT(images, 20u);
  EXPECT_EQ(*decoder.last_record(), after->checkpoint_lsn) << why;
  // The shutdown checkpoint says what we knew before it, without having seen it.
  EXPECT_EQ(before_shutdown.next_xid, after->checkpoint.next_xid);
  EXPECT_GE(before_shutdown.next_oid, after->checkpoint.next_oid);
  EXPECT_EQ(before_shutdown.next_multi, after->checkpoint.next_multi);
  EXPECT_EQ(before_shutdown.oldest_xid, after->checkpoint.oldest_xid);
  EXPECT_EQ(before_shutdown.next_multi_offset, after->checkpoint.next_multi_offset);
  EXPECT_GT(before_shutdown.next_multi, 10u);
  EXPECT_EQ(before_shutdown.oldest_commit_ts_xid, after->checkpoint.oldest_commit_ts_xid);
  EXPECT_EQ(before_shutdown.newest_commit_ts_xid, after->checkpoint.newest_commit_ts_xid);
  EXPECT_EQ(tracker.exact().settings, after->settings);
  EXPECT_TRUE(tracker.exact().hint_bits_logged());
  Checkpoint final_state = tracker.exact().checkpoint;
  ASSERT_EQ(tracker.exact().prepared.size(), 1u);
  EXPECT_EQ(final_state.oldest_active_xid, tracker.exact().prepared[0]);
  final_state.redo = after->checkpoint.redo;
  final_state.oldest_active_xid = 0;
  EXPECT_EQ(final_state, after->checkpoint)
      << to_string(final_state) << " / " << to_string(after->checkpoint);
}

TEST(StockServer, ItsCompressedImagesRestore) {
  StockCluster cluster("-k");
  auto control = decode_control_file(test::read_file(cluster.path("global/pg_control")));
  ASSERT_TRUE(control.ok());
  ASSERT_EQ(cluster.start("-c wal_level=logical").status, 0);
  std::map<uint8_t, size_t> images;
  for (const char* method : {"pglz", "lz4", "zstd"}) {
    Output sql =
        cluster.sql("create table " + std::string(method) +
                    "(i int primary key, x text); set wal_compression = " + method + "; insert into " +
                    method + " select g, repeat(md5(g::text), 8) from generate_series(1, 2000) g;");
    ASSERT_EQ(sql.status, 0) << sql.text;
    ASSERT_EQ(cluster.sql("checkpoint").status, 0);
    ASSERT_EQ(
        cluster.sql("set wal_compression = " + std::string(method) + "; update " + method + " set x = x || i")
            .status,
        0);
  }
  ASSERT_EQ(cluster.stop().status, 0);
  WalStreamDecoder decoder(control->checkpoint_lsn, {control->system_id, 1});
  read_wal(cluster, control->checkpoint_lsn, decoder, [&](const DecodedRecord& record) {
    for (const DecodedBlock& block : record.blocks()) {
      if (!block.compressed()) continue;
      Bytes page(kBlockSize);
      Status restored = restore_image(block, page);
      EXPECT_TRUE(restored.ok()) << restored.error().message();
      EXPECT_TRUE(check_page(page, block.blkno, false).ok());
      images[block.image_info & kImageCompressed]++;
    }
  });
  EXPECT_GT(images[kImagePglz], 20u);
  EXPECT_GT(images[kImageLz4], 20u);
  EXPECT_GT(images[kImageZstd], 20u);
}

// A crash lost the second half of a record, whose first half is at the end of a segment.
TEST(StockServer, ItsOverwrittenContinuationIsFollowed) {
  StockCluster cluster;
  auto control = decode_control_file(test::read_file(cluster.path("global/pg_control")));
  ASSERT_TRUE(control.ok());
  ASSERT_EQ(cluster.start().status, 0);
  ASSERT_EQ(cluster.sql("select pg_switch_wal()").status, 0);
  ASSERT_EQ(cluster.sql("checkpoint").status, 0);
  // Some 20 kB short of the segment's end; page headers take 49 kB of it.
  Output position = cluster.sql(
      "do $$ declare left_over int; begin "
      "left_over := 16777216 - (pg_current_wal_insert_lsn() - '0/0')::numeric % 16777216; "
      "perform pg_logical_emit_message(true, 'fill', repeat('x', left_over - 70000)); end $$;"
      "select pg_current_wal_insert_lsn()");
  ASSERT_EQ(position.status, 0) << position.text;
  ASSERT_EQ(cluster.sql("select pg_logical_emit_message(true, 'long', repeat('y', 120000))").status, 0);
  cluster.stop("immediate");
  auto at = parse_lsn(position.text.substr(position.text.find('/') - 1,
                                           position.text.rfind('\n') - position.text.find('/') + 1));
  ASSERT_TRUE(at.ok()) << position.text;
  for (uint64_t n = segment_number(*at) + 1; fs::remove(cluster.path("pg_wal/" + segment_file_name(n)));
       n++) {
  }
  ASSERT_EQ(cluster.start().status, 0) << cluster.log();
  ASSERT_EQ(cluster.sql("create table t(i int)").status, 0);
  ASSERT_EQ(cluster.stop().status, 0);
  auto after = decode_control_file(test::read_file(cluster.path("global/pg_control")));
  ASSERT_TRUE(after.ok());

  WalStreamDecoder decoder(control->checkpoint_lsn, {control->system_id, 1});
  size_t replacements = 0;
  std::string why = read_wal(cluster, control->checkpoint_lsn, decoder, [&](const DecodedRecord& record) {
    if (!record.is(Rmgr::Xlog, xlog::kOverwriteContrecord)) return;
    replacements++;
    EXPECT_EQ(segment_number(record.start_lsn), segment_number(*at) + 1);
  });
  EXPECT_EQ(replacements, 1u) << why;
  EXPECT_EQ(*decoder.last_record(), after->checkpoint_lsn) << why;
}

// Lays a fabricated checkpoint at S into the cluster, in place of all its WAL.
FabricatedCheckpoint start_at(const StockCluster& cluster, ControlFile control, Lsn s, Lsn previous) {
  WalIdentity identity{control.system_id, 1};
  auto made = fabricate_checkpoint(identity, control.checkpoint, s, previous);
  CHECK(made.ok(), made.error().message());
  for (const auto& entry : fs::directory_iterator(cluster.path("pg_wal")))
    if (entry.is_regular_file()) fs::remove(entry.path());
  for (const SegmentFile& file : made->segments(identity))
    test::write_file(cluster.path("pg_wal/" + file.name), file.bytes());
  test::write_file(cluster.path("global/pg_control"),
                   encode_control_file(control_at(control, *made, control.settings)));
  return *made;
}

TEST(StockServer, StartsAtAnyPositionAndWritesOnBehindIt) {
  StockCluster cluster;
  auto control = decode_control_file(test::read_file(cluster.path("global/pg_control")));
  ASSERT_TRUE(control.ok());
  uint64_t expected = 0;
  // Each in a segment of its own, since WAL only goes forward.
  uint64_t positions[] = {
      0,                        // the start of a segment
      3 * kWalBlockSize,        // the start of a page
      5 * kWalBlockSize - 64,   // the record straddles a page boundary
      7 * kWalBlockSize - 8,    // its header does
      9 * kWalBlockSize - 120,  // it ends at the boundary
      11 * kWalBlockSize + 24,  // right behind a page header
      kWalSegmentSize - 64,     // it straddles a segment boundary
      kWalSegmentSize - 120,    // it ends at one
      123456,
  };
  uint64_t segment = 0;
  for (uint64_t position : positions) {
    segment += 2 * kWalSegmentSize;
    uint64_t s = segment + position;
    SCOPED_TRACE(to_string(Lsn(s)));
    FabricatedCheckpoint made = start_at(cluster, *control, Lsn(s), Lsn(s - 4000));
    Output started = cluster.start();
    ASSERT_EQ(started.status, 0) << started.text;
    EXPECT_EQ(cluster.log().find("recovery"), std::string::npos);
    Output sql = cluster.sql(
        "create table if not exists t(i int); insert into t select generate_series(1,1000);"
        "select count(*) from t");
    expected += 1000;
    ASSERT_EQ(sql.status, 0) << sql.text;
    EXPECT_NE(sql.text.find(std::to_string(expected) + "\n"), std::string::npos) << sql.text;
    ASSERT_EQ(cluster.stop().status, 0);
    auto after = decode_control_file(test::read_file(cluster.path("global/pg_control")));
    ASSERT_TRUE(after.ok());

    // The WAL from S on is one stream, whose first record is the fabricated one.
    WalStreamDecoder decoder(Lsn(s), {control->system_id, 1}, Lsn(s - 4000));
    std::vector<Lsn> starts;
    std::string why =
        read_wal(cluster, Lsn(s), decoder, [&](const DecodedRecord& r) { starts.push_back(r.start_lsn); });
    ASSERT_GT(starts.size(), 1000u) << why;
    EXPECT_EQ(starts[0], made.record);
    EXPECT_EQ(starts[1], record_start_at(made.end));
    EXPECT_EQ(starts.back(), after->checkpoint_lsn);
    control = after;
  }
}

// What pg_waldump says of our records: one line each, "rmgr: Heap ... lsn: 0/02000028, prev ..., desc: ...".
TEST(StockServer, PgWaldumpReadsWhatWeBuild) {
  StockCluster cluster;
  auto control = decode_control_file(test::read_file(cluster.path("global/pg_control")));
  ASSERT_TRUE(control.ok());
  Lsn begin(kWalSegmentSize * 2);
  WalWriter writer({control->system_id, 1}, begin, Lsn(0));
  RelTag rel{{kDefaultTablespace, 5, 16384}, Fork::Main};
  Bytes page(kBlockSize);
  init_page(page);
  add_item(page, Bytes(100, 'z'));
  struct Expected {
    PlacedRecord placed;
    Xid xid;
    std::string text;
  };
  std::vector<Expected> expected;
  auto add = [&](const RecordBuilder& record, Xid xid, const std::string& text) {
    expected.push_back({writer.append(record), xid, text});
  };
  // A tuple of one bigint: infomask2 1, infomask XMAX_INVALID, hoff 24.
  Bytes tuple(kTupleHeader);
  store_le<uint16_t>(tuple.data() + 18, 1);
  store_le<uint16_t>(tuple.data() + 20, 0x0800);
  tuple[22] = 24;
  tuple.resize(32, 1);
  HeapPlace place{rel, 7, 3}, next{rel, 7, 4}, elsewhere{rel, 8, 1};
  std::string on7 = ", blkref #0: rel 1663/5/16384 blk 7", on8 = ", blkref #0: rel 1663/5/16384 blk 8";
  add(heap_insert(733, place, tuple, false), 733, "INSERT off 3 flags 0x00" + on7);
  add(heap_insert(733, elsewhere, tuple, true), 733, "INSERT+INIT off 1 flags 0x00" + on8);
  add(heap_delete(733, place), 733, "DELETE off 3 flags 0x00 " + on7);
  add(heap_update(733, place, next, tuple, true, false), 733,
      "HOT_UPDATE off 3 xmax 733 flags 0x00 ; new off 4 xmax 0" + on7);
  add(heap_update(733, place, elsewhere, tuple, false, true), 733,
      "UPDATE+INIT off 3 xmax 733 flags 0x00 ; new off 1 xmax 0" + on8 +
          ", blkref #1: rel 1663/5/16384 blk 7");
  add(heap_lock(733, place, 0x02), 733, "LOCK off 3: xid 733: flags 0x00");
  add(heap_visible(rel, 7, 700, 1), 0,
      "VISIBLE cutoff xid 700 flags 0x01, blkref #0: rel 1663/5/16384 fork vm blk 0, blkref #1: rel "
      "1663/5/16384 blk 7");
  add(smgr_create(733, rel), 733, "CREATE base/5/16384");
  add(smgr_truncate(733, rel.node, 5), 733, "TRUNCATE base/5/16384 to 5 blocks flags 7");
  Xid subs[] = {734, 735};
  RelFileNode dropped[] = {rel.node};
  add(xact_commit(733, 0, subs, dropped), 733,
      "COMMIT 2000-01-01 00:00:00.000000 UTC; rels: base/5/16384; subxacts: 734 735");
  add(xact_abort(736, 0), 736, "ABORT 2000-01-01");
  add(running_xacts(740, subs), 0,
      "RUNNING_XACTS nextXid 740 latestCompletedXid 739 oldestRunningXid 734; 2 xacts: 734 735");
  add(clog_zero_page(3), 0, "ZEROPAGE page 3");
  Checkpoint checkpoint;
  checkpoint.redo = Lsn(0x123456);
  checkpoint.next_xid = 0x1'0000'0777;
  add(checkpoint_online(checkpoint), 0,
      "CHECKPOINT_ONLINE redo 0/123456; tli 1; prev tli 1; fpw false; xid 1:1911; oid 10000; multi 1");
  add(checkpoint_shutdown(checkpoint), 0, "CHECKPOINT_SHUTDOWN redo 0/123456");
  ControlSettings settings;
  settings.max_connections = 77;
  settings.track_commit_timestamp = true;
  add(parameter_change(settings), 0,
      "PARAMETER_CHANGE max_connections=77 max_worker_processes=8 max_wal_senders=10 max_prepared_xacts=0 "
      "max_locks_per_xact=64 wal_level=replica wal_log_hints=off track_commit_timestamp=on");
  ByteView two[] = {page, page};
  add(full_page_images(rel, 20, two), 0,
      "FPI , blkref #0: rel 1663/5/16384 blk 20 FPW, blkref #1: rel 1663/5/16384 blk 21 FPW");
  for (auto compression : {ImageCompression::None, ImageCompression::Lz4, ImageCompression::Zstd})
    add(RecordBuilder(Rmgr::Xlog, xlog::kFpi).block(0, rel, 9).image(page, true, true, compression), 0,
        "FPI , blkref #0: rel 1663/5/16384 blk 9 FPW");
  for (int i = 0; i < 400; i++) add(next_oid(24576), 0, "NEXTOID 24576");
  add(RecordBuilder(Rmgr::Xlog, xlog::kNoop, 5).main(Bytes(30000, 7)), 5, "NOOP");
  expected.push_back({writer.append_switch(), 0, "SWITCH"});
  test::write_file(cluster.path("pg_wal/" + segment_file_name(2)), writer.take());

  Output dump = test::run("TZ=UTC " + test::program("pg_waldump") + " -p " + cluster.path("pg_wal") + " " +
                          segment_file_name(2));
  std::istringstream lines(dump.text);
  std::string line;
  for (const Expected& e : expected) {
    ASSERT_TRUE(std::getline(lines, line)) << dump.text.substr(0, 2000);
    char lsn[40];
    std::snprintf(lsn, sizeof lsn, "lsn: %X/%08X", static_cast<unsigned>(e.placed.start.value >> 32),
                  static_cast<unsigned>(e.placed.start.value));
    EXPECT_NE(line.find(lsn), std::string::npos) << line;
    EXPECT_NE(line.find("desc: " + e.text), std::string::npos) << line;
    char xid[40];
    std::snprintf(xid, sizeof xid, "tx: %10u", e.xid);
    EXPECT_NE(line.find(xid), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace argon::pg
