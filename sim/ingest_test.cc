// What each kind of WAL record changes in a timeline: exactly which keys, and how.
//
// A table of records in the order of a cluster's life. After each one every key that exists before or after
// it is looked at: those with a version at the record's end must be the listed ones.

#include "core/pageserver/ingest.h"

#include <gtest/gtest.h>

#include <array>

#include "core/base/codec.h"
#include "core/env/io.h"
#include "core/pageserver/import.h"
#include "core/pageserver/value.h"
#include "core/pg/interpret/batch.h"
#include "core/pg/made_datadir.h"
#include "core/pg/page.h"
#include "core/pg/record_makers.h"
#include "core/pg/record_types.h"
#include "core/pg/relmap.h"
#include "sim/machine.h"

namespace argon::pageserver {
namespace {

using pg::RecordBuilder;
using pg::Rmgr;

const TenantTimelineId kId{{{1}}, {{2}}};
constexpr pg::RelFileNode kRel{1663, 5, 16384};
const pg::RelTag kMain{kRel, pg::Fork::Main};
const pg::RelTag kUser{{90001, 5, 20000}, pg::Fork::Main};

struct Step {
  std::string claim;
  RecordBuilder record;
  std::set<std::string> changes;  // "KEY: what", ascending
};

Bytes words(std::initializer_list<uint32_t> values) {
  Bytes out;
  Writer w(out);
  for (uint32_t value : values) w.le<uint32_t>(value);
  return out;
}

RecordBuilder plain(Rmgr rmgr, uint8_t type, ByteView main, pg::Xid xid = 0) {
  RecordBuilder builder(rmgr, type, xid);
  builder.main(main);
  return builder;
}

Bytes tuple() {
  Bytes bytes(32);
  bytes[22] = 24;  // t_hoff
  return bytes;
}

RecordBuilder image_of(const pg::RelTag& rel, pg::BlockNumber block) {
  Bytes page(pg::kBlockSize);
  pg::init_page(page, 0);
  std::array<ByteView, 1> pages{page};
  return pg::full_page_images(rel, block, pages);
}

// Commit and abort records of a prepared transaction: time, xinfo, its xid.
RecordBuilder end_prepared(uint8_t type, pg::Xid xid) {
  Bytes main;
  Writer(main).le<int64_t>(1000).le<uint32_t>(pg::xact::kInfoTwophase).le<uint32_t>(xid);
  return plain(Rmgr::Xact, type | pg::xact::kHasInfo, main, 0);
}

// The state file of a prepared transaction, with the name "g".
RecordBuilder prepare(pg::Xid xid) {
  Bytes state(80);
  store_le<uint32_t>(state.data(), 0x57F94534);
  store_le<uint32_t>(state.data() + 4, static_cast<uint32_t>(state.size()));
  store_le<uint32_t>(state.data() + 8, xid);
  store_le<uint16_t>(state.data() + 54, 2);
  state[72] = 'g';
  return plain(Rmgr::Xact, pg::xact::kPrepare, state, xid);
}

Bytes tablespace_main() {
  Bytes main = words({90001});
  append(main, as_bytes(std::string("/ts\0", 4)));
  return main;
}

RecordBuilder relation_map(pg::Oid db, pg::Oid spc) {
  Bytes main = words({db, spc, 512});
  append(main, pg::encode_relmap({}));
  return plain(Rmgr::RelMap, 0, main);
}

pg::ControlSettings with_commit_timestamps() {
  pg::ControlSettings settings;
  settings.track_commit_timestamp = true;
  return settings;
}

const std::array<pg::RelFileNode, 1> kDropped{kRel};
const std::array<pg::Xid, 2> kSubxacts{32767, 32768};

std::vector<Step> steps() {
  const std::string clog = "block 0 of segment 0 of SLRU 0: ";
  std::vector<Step> s;
  auto add = [&](std::string claim, RecordBuilder record, std::set<std::string> changes) {
    s.push_back({std::move(claim), std::move(record), std::move(changes)});
  };
  add("SMGR CREATE makes an empty fork", pg::smgr_create(700, kMain), {"size of 1663/5/16384: 0"});
  add("a first insert extends by one", pg::heap_insert(700, {kMain, 0, 1}, tuple(), true),
      {"size of 1663/5/16384: 1", "block 0 of 1663/5/16384: record that makes the page"});
  add("an insert on a page that is there", pg::heap_insert(700, {kMain, 0, 2}, tuple(), false),
      {"block 0 of 1663/5/16384: record"});
  add("an extension leaves a gap of zero pages", pg::heap_insert(700, {kMain, 3, 1}, tuple(), true),
      {"size of 1663/5/16384: 4", "block 1 of 1663/5/16384: ZeroPage", "block 2 of 1663/5/16384: ZeroPage",
       "block 3 of 1663/5/16384: record that makes the page"});
  add("HEAP2 VISIBLE makes the map's fork", pg::heap_visible(kMain, 0, 700, 3),
      {"size of 1663/5/16384_vm: 1", "block 0 of 1663/5/16384_vm: ZeroPage, record",
       "block 0 of 1663/5/16384: record"});
  add("a full page image is stored as an image", image_of(kMain, 1), {"block 1 of 1663/5/16384: image"});
  add("an insert that clears visibility",
      pg::heap_insert(700, {kMain, 0, 3}, tuple(), false, pg::kAllVisibleCleared),
      {"block 0 of 1663/5/16384: record", "block 0 of 1663/5/16384_vm: ClearVisibilityMapFlags"});
  add("a delete that clears visibility", pg::heap_delete(700, {kMain, 0, 3}, pg::kAllVisibleCleared),
      {"block 0 of 1663/5/16384: record", "block 0 of 1663/5/16384_vm: ClearVisibilityMapFlags"});
  add("a lock that clears all-frozen", pg::heap_lock(700, {kMain, 3, 1}, 0, 1),
      {"block 3 of 1663/5/16384: record", "block 0 of 1663/5/16384_vm: ClearVisibilityMapFlags"});
  add("an update over two pages", pg::heap_update(700, {kMain, 0, 1}, {kMain, 4, 1}, tuple(), false, true, 3),
      {"size of 1663/5/16384: 5", "block 0 of 1663/5/16384: record",
       "block 4 of 1663/5/16384: record that makes the page",
       "block 0 of 1663/5/16384_vm: ClearVisibilityMapFlags, ClearVisibilityMapFlags"});
  add("SMGR TRUNCATE cuts main and the tail of the map", pg::smgr_truncate(700, kRel, 2),
      {"size of 1663/5/16384: 2", "block 0 of 1663/5/16384_vm: TruncateVisibilityMap"});
  add("a commit sets its bits", pg::xact_commit(700, 1), {clog + "ClogSetCommitted", "commit time: image"});
  add("an abort sets its bits", pg::xact_abort(701, 1), {clog + "ClogSetAborted"});
  add("CLOG ZEROPAGE extends the segment", pg::clog_zero_page(1),
      {"size of segment 0 of SLRU 0: 2", "block 1 of segment 0 of SLRU 0: ZeroPage"});
  add("a commit with subtransactions on two pages", pg::xact_commit(702, 1, kSubxacts),
      {clog + "ClogSetCommitted", "block 1 of segment 0 of SLRU 0: ClogSetCommitted", "checkpoint: image",
       "commit time: image"});
  add("CLOG ZEROPAGE of a new segment", pg::clog_zero_page(32),
      {"size of segment 1 of SLRU 0: 1", "block 0 of segment 1 of SLRU 0: ZeroPage"});
  add("CLOG TRUNCATE drops whole segments", plain(Rmgr::Clog, pg::slru::kTruncate, words({32, 1048576, 5})),
      {"size of segment 0 of SLRU 0: gone", "checkpoint: image"});
  add("MULTIXACT CREATE_ID sets offset, next offset and members",
      plain(Rmgr::MultiXact, pg::multixact::kCreateId, words({1, 1, 2, 700, 1, 701, 4})),
      {"block 0 of segment 0 of SLRU 1: MultixactOffsetSet, MultixactOffsetSet",
       "block 0 of segment 0 of SLRU 2: MultixactMembersSet", "checkpoint: image"});
  add("MULTIXACT ZERO_OFF_PAGE", plain(Rmgr::MultiXact, pg::multixact::kZeroOffsetPage, words({1})),
      {"size of segment 0 of SLRU 1: 2", "block 1 of segment 0 of SLRU 1: ZeroPage, ZeroOffsetsPage"});
  add("MULTIXACT ZERO_MEM_PAGE", plain(Rmgr::MultiXact, pg::multixact::kZeroMemberPage, words({1})),
      {"size of segment 0 of SLRU 2: 2", "block 1 of segment 0 of SLRU 2: ZeroPage"});
  add("PARAMETER_CHANGE is in the checkpoint", pg::parameter_change(with_commit_timestamps()),
      {"checkpoint: image"});
  add("COMMIT_TS ZEROPAGE", plain(Rmgr::CommitTs, pg::slru::kZeroPage, words({0})),
      {"size of segment 0 of SLRU 3: 1", "block 0 of segment 0 of SLRU 3: ZeroPage"});
  add("a commit with commit timestamps", pg::xact_commit(1048577, 1),
      {"block 0 of segment 1 of SLRU 0: ClogSetCommitted", "checkpoint: image", "commit time: image",
       "block 0 of segment 40 of SLRU 3: ZeroPage, CommitTsSet", "size of segment 40 of SLRU 3: 1"});
  add("RELMAP UPDATE", relation_map(5, 1663), {"relation map of 1663/5: image"});
  add("SEQ LOG makes its page",
      RecordBuilder(Rmgr::Sequence, 0, 703)
          .main(Bytes(40))
          .block(0, {{1663, 5, 16390}, pg::Fork::Main}, 0, true),
      {"size of 1663/5/16390: 1", "block 0 of 1663/5/16390: record that makes the page"});
  add("TABLESPACE CREATE keeps the path", plain(Rmgr::Tablespace, 0, tablespace_main()),
      {"tablespace 90001: image"});
  add("a relation there makes the database's folder", pg::smgr_create(703, kUser),
      {"size of 90001/5/20000: 0", "database 90001/5: image"});
  add("DBASE CREATE by wal_log makes a folder",
      plain(Rmgr::Dbase, pg::dbase::kCreateWalLog, words({16500, 1663})), {"database 1663/16500: image"});
  add("DBASE CREATE by file copy copies everything",
      plain(Rmgr::Dbase, pg::dbase::kCreateFileCopy, words({16501, 90001, 5, 90001})),
      {"database 90001/16501: image", "size of 90001/16501/20000: 0"});
  add("DBASE DROP takes relations and folder", plain(Rmgr::Dbase, pg::dbase::kDrop, words({16501, 1, 90001})),
      {"database 90001/16501: gone", "size of 90001/16501/20000: gone"});
  add("PREPARE keeps the state file", prepare(1048580),
      {"prepared transaction 1048580: image", "checkpoint: image"});
  add("COMMIT PREPARED ends the other transaction", end_prepared(pg::xact::kCommitPrepared, 1048580),
      {"block 0 of segment 1 of SLRU 0: ClogSetCommitted", "block 0 of segment 40 of SLRU 3: CommitTsSet",
       "checkpoint: image", "commit time: image", "prepared transaction 1048580: gone"});
  add("an abort drops relations too",
      pg::xact_abort(1048590, 1, {}, std::array{pg::RelFileNode{1663, 5, 16390}}),
      {"block 0 of segment 1 of SLRU 0: ClogSetAborted", "size of 1663/5/16390: gone"});
  add("a commit drops all forks of relations", pg::xact_commit(1048591, 1, {}, kDropped),
      {"block 0 of segment 1 of SLRU 0: ClogSetCommitted", "block 0 of segment 40 of SLRU 3: CommitTsSet",
       "checkpoint: image", "commit time: image", "size of 1663/5/16384: gone",
       "size of 1663/5/16384_vm: gone"});
  add("TABLESPACE DROP", plain(Rmgr::Tablespace, 0x10, words({90001})), {"tablespace 90001: gone"});
  add("NEXTOID is in the checkpoint", pg::next_oid(24576), {"checkpoint: image"});
  return s;
}

std::string describe_part(const Key& key, const ValueView& part) {
  switch (part.kind) {
    case ValueKind::Image:
      if (is_sparse(key) && part.body.empty()) return "gone";
      return part.body.size() == 4 && is_sparse(key) ? std::to_string(load_le<uint32_t>(part.body.data()))
                                                     : "image";
    case ValueKind::Record:
      return "record";
    case ValueKind::RecordWillInit:
      return "record that makes the page";
    default: {
      auto mutation = pg::redo::decode_mutation(part.body);
      if (!mutation.ok()) return "damaged";
      std::string text = pg::redo::to_string(*mutation);
      return text.substr(0, text.find(' '));
    }
  }
}

class Harness {
 public:
  Harness(Env& env, const pg::MadeDataDir& made, const pg::ShardIdentity& own = {},
          std::string_view name = "timeline")
      : shard(own),
        store(env, kId, "/data/" + std::string(name), {}, cache),
        catalog(store),
        wal({made.control.system_id}, made.end, made.last_record) {}

  Status open(Task& task, Env& env, const pg::MadeDataDir& made) {
    for (const pg::MadeFile& file : made.files) {
      std::string path = "/template/" + file.path;
      TRY(make_dirs(task, env.disk(), parent_path(path)));
      TRY(write_file_durably(task, env.disk(), path, file.bytes));
    }
    TRY_ASSIGN(Import imported, import_data_directory(task, env.disk(), "/template"));
    TimelineIndex index;
    index.id = kId;
    index.start_lsn = index.disk_consistent = imported.end;
    index.prev_record = imported.prev;
    TRY(store.create(task, index));
    TRY(store.write_images(task, imported.end, imported.entries));
    TRY_ASSIGN(IngestState state, ingest_state(task, store, catalog, imported.end));
    ingest = std::make_unique<Ingest>(store, catalog, state, shard);
    return {};
  }

  // Applies the record; what has a version at its end.
  Result<std::set<std::string>> apply(Task& task, const RecordBuilder& builder) {
    Lsn before = store.last_record().value();
    TRY_ASSIGN(std::vector<Key> known, catalog.keys(task, KeyRange::all(), before));
    TRY(ingest_one(task, *ingest, builder));
    Lsn end = store.last_record().value();
    TRY_ASSIGN(std::vector<Key> now, catalog.keys(task, KeyRange::all(), end));
    std::set<Key> keys(known.begin(), known.end());
    keys.insert(now.begin(), now.end());
    std::set<std::string> changes;
    for (const Key& key : keys) {
      TRY_ASSIGN(Chain chain, store.collect(task, key, end));
      if (chain.versions.empty() || chain.versions.front().lsn != end) continue;
      TRY_ASSIGN(std::vector<ValueView> parts, parts_of(chain.versions.front().value));
      std::string text;
      for (const ValueView& part : parts) text += (text.empty() ? "" : ", ") + describe_part(key, part);
      changes.insert(describe(key) + ": " + text);
    }
    return changes;
  }

  Status ingest_one(Task& task, Ingest& by, const RecordBuilder& builder) {
    Bytes bytes = builder.build(wal.previous());
    pg::PlacedRecord placed = wal.append_whole(bytes);
    return by.apply(task, {placed.start, placed.end, bytes});
  }

  const pg::ShardIdentity shard;
  NodeCache cache{100};
  LayerStore store;
  Catalog catalog;
  pg::WalWriter wal;
  std::unique_ptr<Ingest> ingest;
};

void on_a_machine(const std::function<Status(Task&, Env&, const pg::MadeDataDir&)>& body) {
  pg::MadeOptions options;
  options.relations = 0;
  pg::MadeDataDir made = pg::make_datadir(options);
  sim::World world({});
  sim::Machine& machine = world.add_machine("pageserver");
  machine.boot([&](Task& task, Env& env) { return body(task, env, made); });
  world.run_for(Duration::seconds(60));
  ASSERT_TRUE(machine.exit_status().has_value());
  EXPECT_TRUE(machine.exit_status()->ok()) << machine.exit_status()->error().to_string();
}

void on_a_pageserver(const std::function<Status(Task&, Harness&)>& body) {
  on_a_machine([&](Task& task, Env& env, const pg::MadeDataDir& made) -> Status {
    Harness harness(env, made);
    TRY(harness.open(task, env, made));
    return body(task, harness);
  });
}

TEST(Ingest, EachRecordChangesExactlyTheseKeys) {
  on_a_pageserver([](Task& task, Harness& harness) -> Status {
    for (const Step& step : steps()) {
      SCOPED_TRACE(step.claim);
      auto changes = harness.apply(task, step.record);
      if (!changes.ok()) return changes.error().with(step.claim);
      EXPECT_EQ(*changes, step.changes);
    }
    return {};
  });
}

TEST(Ingest, APageWhoseRecordNothingRedoesIsAnErrorUntilAnImageComesAndOthersGoOn) {
  on_a_pageserver([](Task& task, Harness& harness) -> Status {
    TRY(harness.apply(task, image_of(kMain, 0)));
    TRY(harness.apply(task, image_of(kMain, 1)));
    RecordBuilder extension(static_cast<Rmgr>(pg::kFirstCustomRmgr), 0);
    extension.block(0, kMain, 0).data(words({1}));
    TRY(harness.apply(task, extension));
    TRY(harness.apply(task, image_of(kMain, 2)));
    auto read = [&](pg::BlockNumber block) {
      return harness.catalog.page(task, {kMain, block}, harness.store.last_record().value());
    };
    auto page = read(0);
    EXPECT_TRUE(page.is(Code::Unsupported));
    std::string error = page.ok() ? "" : page.error().to_string();
    EXPECT_NE(error.find("resource manager 128"), std::string::npos) << error;
    EXPECT_NE(error.find("1663/5/16384"), std::string::npos) << error;
    EXPECT_EQ(harness.catalog.unreadable().size(), 1u);
    EXPECT_TRUE(read(1).ok());
    EXPECT_TRUE(read(2).ok());
    EXPECT_FALSE(read(0).ok());
    EXPECT_EQ(harness.catalog.redo_errors(), 2u);
    TRY(harness.apply(task, image_of(kMain, 0)));
    EXPECT_TRUE(read(0).ok());
    EXPECT_TRUE(harness.catalog.unreadable().empty());
    return {};
  });
}

TEST(Ingest, BadInputARecordThatContradictsItsPageIsAnErrorThatNamesAll) {
  on_a_pageserver([](Task& task, Harness& harness) -> Status {
    TRY(harness.apply(task, image_of(kMain, 0)));
    TRY(harness.apply(task, pg::heap_delete(700, {kMain, 0, 9})));
    auto page = harness.catalog.page(task, {kMain, 0}, harness.store.last_record().value());
    EXPECT_TRUE(page.is(Code::Corrupt));
    std::string error = page.ok() ? "" : page.error().to_string();
    for (const char* part : {"1663/5/16384", "block 0", "DELETE", " at 0/"})
      EXPECT_NE(error.find(part), std::string::npos) << part << " in: " << error;
    EXPECT_EQ(harness.catalog.unreadable().size(), 1u);
    return {};
  });
}

// ---- The same WAL as bytes and as a stream of interpreted records, for one and for several shards.

// The records of the table, and between them inserts into two relations, with gaps and images.
std::vector<RecordBuilder> drawn_records(Random& random) {
  std::vector<RecordBuilder> records;
  for (const Step& step : steps()) {
    records.push_back(step.record);
    for (uint64_t n = random.below(4); n > 0; n--) {
      const pg::RelTag& rel = random.chance({1, 2}) ? kUser : kMain;
      auto block = static_cast<pg::BlockNumber>(random.below(12));
      pg::Xid xid = static_cast<pg::Xid>(random.between(700, 720));
      if (random.chance({1, 4}))
        records.push_back(image_of(rel, block));
      else
        records.push_back(pg::heap_insert(xid, {rel, block, 1}, tuple(), true,
                                          random.chance({1, 2}) ? pg::kAllVisibleCleared : 0));
    }
  }
  return records;
}

// All of them, in a timeline's WAL.
std::vector<std::pair<pg::PlacedRecord, Bytes>> placed(pg::WalWriter wal,
                                                       const std::vector<RecordBuilder>& records) {
  std::vector<std::pair<pg::PlacedRecord, Bytes>> all;
  for (const RecordBuilder& record : records) {
    Bytes bytes = record.build(wal.previous());
    pg::PlacedRecord at = wal.append_whole(bytes);
    all.emplace_back(at, std::move(bytes));
  }
  return all;
}

Status take_batch(Task& task, Harness& shard, ByteView whole, bool zstd) {
  TRY_ASSIGN(Bytes body, pg::batch_for(whole, shard.shard));
  Bytes payload = pg::seal_batch(body, zstd);
  Bytes buffer;
  TRY_ASSIGN(ByteView opened, pg::open_batch(payload, buffer));
  TRY_ASSIGN(pg::BatchReader batch, pg::BatchReader::open(opened));
  pg::InterpretedRecord record;
  for (;;) {
    TRY_ASSIGN(bool found, batch.next(record));
    if (!found) break;
    TRY(shard.ingest->apply(task, record));
  }
  shard.ingest->advance(batch.header().end, batch.header().last_record);
  return {};
}

using Versions = std::map<std::pair<Lsn, Key>, Bytes>;

// Everything that was stored, at each of these LSNs.
Result<Versions> versions(Task& task, Harness& harness, const std::vector<Lsn>& lsns) {
  std::set<Key> keys;
  for (Lsn lsn : lsns) {
    TRY_ASSIGN(std::vector<Key> now, harness.catalog.keys(task, KeyRange::all(), lsn));
    keys.insert(now.begin(), now.end());
  }
  Versions all;
  for (Lsn lsn : lsns) {
    for (const Key& key : keys) {
      TRY_ASSIGN(Chain chain, harness.store.collect(task, key, lsn));
      if (!chain.versions.empty() && chain.versions.front().lsn == lsn)
        all[{lsn, key}] = to_bytes(chain.versions.front().value);
    }
  }
  return all;
}

Status compare_streams(Task& task, Env& env, const pg::MadeDataDir& made, Random& random) {
  Harness raw(env, made, {}, "raw");
  TRY(raw.open(task, env, made));
  auto count = static_cast<uint32_t>(random.between(1, 4));
  std::vector<std::unique_ptr<Harness>> shards;
  for (uint32_t number = 0; number < count; number++) {
    pg::ShardIdentity own{number, count, static_cast<uint32_t>(random.between(1, 3))};
    own.stripe_blocks = shards.empty() ? own.stripe_blocks : shards[0]->shard.stripe_blocks;
    shards.push_back(std::make_unique<Harness>(env, made, own, "shard" + std::to_string(number)));
    TRY(shards.back()->open(task, env, made));
  }
  std::vector<Lsn> lsns;
  Lsn end = made.end;
  pg::Interpreter interpreter;
  pg::InterpretedRecord interpreted;
  std::optional<pg::BatchWriter> batch;
  auto all = placed(raw.wal, drawn_records(random));
  for (const auto& [at, bytes] : all) {
    TRY(raw.ingest->apply(task, {at.start, at.end, bytes}));
    if (!batch) batch.emplace(end);
    TRY_ASSIGN(pg::DecodedRecord decoded, pg::decode_record(bytes, at.start, at.end));
    TRY(interpreter.interpret(decoded, interpreted));
    batch->add(interpreted);
    lsns.push_back(end = at.end);
    if (&bytes != &all.back().second && random.chance({3, 4})) continue;
    Bytes body = batch->finish();
    batch.reset();
    for (auto& shard : shards) TRY(take_batch(task, *shard, body, random.chance({1, 2})));
  }
  TRY_ASSIGN(Versions whole, versions(task, raw, lsns));
  std::map<std::pair<Lsn, Key>, uint32_t> found;
  for (auto& shard : shards) {
    EXPECT_EQ(shard->store.last_record().value(), raw.store.last_record().value());
    EXPECT_EQ(shard->store.prev_record(), raw.store.prev_record());
    TRY_ASSIGN(Versions part, versions(task, *shard, lsns));
    for (const auto& [where, value] : part) {
      std::string what = describe(where.second) + " at " + to_string(where.first);
      EXPECT_TRUE(whole.contains(where) && whole[where] == value) << what;
      bool own = !is_block_key(where.second) || shard->shard.owns(block_of(where.second));
      EXPECT_TRUE(own) << what;
      found[where]++;
    }
  }
  for (const auto& [where, value] : whole)
    EXPECT_EQ(found[where], is_block_key(where.second) ? 1 : count)
        << describe(where.second) << " at " << to_string(where.first);
  return {};
}

// Three L1 layers of two L0 each, of which each has a change of blocks 0 and 1.
Status want_an_image(Task& task, Harness& harness) {
  for (int l0 = 0; l0 < 6; l0++) {
    for (pg::BlockNumber block : {0, 1}) TRY(harness.apply(task, pg::heap_lock(700, {kMain, block, 1}, 0)));
    harness.store.freeze();
    TRY(harness.store.flush_one(task));
    if (l0 % 2 == 1) TRY(harness.store.compact_l0(task));
  }
  return {};
}

// As Timeline::make_image().
Status make_image(Task& task, Harness& harness) {
  std::optional<LayerStore::ImageNeed> need = harness.store.image_need();
  if (!need) return Error(Code::NotFound, "no image is needed");
  TRY_ASSIGN(std::vector<Key> keys, harness.catalog.keys(task, need->keys, need->lsn));
  return harness.store.create_image(task, *need, keys, [&](Task& t, const Key& key, Lsn lsn) {
    return harness.catalog.materialize(t, key, lsn);
  });
}

TEST(Ingest, NoImageLayerIsMadeWhileARecordContradictsOneOfItsPages) {
  on_a_pageserver([](Task& task, Harness& harness) -> Status {
    auto image_layers = [&] {
      return std::ranges::count_if(harness.store.layers(),
                                   [](const auto& layer) { return !layer->is_delta(); });
    };
    auto read = [&](pg::BlockNumber block) {
      return harness.catalog.page(task, {kMain, block}, harness.store.last_record().value());
    };
    for (pg::BlockNumber block : {0, 1})
      TRY(harness.apply(task, pg::heap_insert(700, {kMain, block, 1}, tuple(), true)));
    TRY(harness.apply(task, pg::heap_delete(700, {kMain, 0, 9})));
    auto before = image_layers();
    TRY(want_an_image(task, harness));
    Status made = make_image(task, harness);
    EXPECT_TRUE(made.is(Code::Corrupt)) << (made.ok() ? "made" : made.error().to_string());
    EXPECT_EQ(image_layers(), before);
    EXPECT_TRUE(read(0).is(Code::Corrupt));
    EXPECT_TRUE(read(1).ok());
    TRY(harness.apply(task, pg::heap_insert(701, {kMain, 0, 1}, tuple(), true)));
    TRY(want_an_image(task, harness));
    TRY(make_image(task, harness));
    EXPECT_GT(image_layers(), before);
    EXPECT_TRUE(read(0).ok());
    return {};
  });
}

// A reader who looked for the size before ingest changed it, and found it after, must not have the last word.
TEST(Ingest, ASizeThatIsLookedUpMeanwhileIsNotRememberedOverANewerOne) {
  on_a_pageserver([](Task& task, Harness& harness) -> Status {
    constexpr pg::Oid kRelations = 40;
    auto relation = [](pg::Oid i) { return pg::RelTag{{1663, 5, 20000 + i}, pg::Fork::Main}; };
    for (pg::Oid i = 0; i < kRelations; i++) TRY(harness.apply(task, image_of(relation(i), 0)));
    harness.store.freeze();
    TRY(harness.store.flush_one(task));
    for (pg::Oid i = 0; i < kRelations; i++) {
      Lsn before = harness.store.last_record().value();
      Catalog catalog(harness.store);
      TRY_ASSIGN(IngestState state, ingest_state(task, harness.store, catalog, before));
      Ingest ingest(harness.store, catalog, state, harness.shard);
      std::optional<uint32_t> read;
      Scope scope(task);
      scope.spawn("ingest", [&](Task& t) { return harness.ingest_one(t, ingest, image_of(relation(i), 4)); });
      scope.spawn("reader", [&](Task& t) -> Status {
        TRY_ASSIGN(read, catalog.relation_size(t, relation(i), before));
        return {};
      });
      TRY(scope.join(task));
      EXPECT_EQ(read, 1u);
      TRY_ASSIGN(auto now, catalog.relation_size(task, relation(i), harness.store.last_record().value()));
      EXPECT_EQ(now, 5u);
    }
    return {};
  });
}

TEST(Ingest, ShardsStoreFromInterpretedWalWhatWalItselfSays) {
  for (uint64_t seed = 1; seed <= 40; seed++) {
    SCOPED_TRACE(seed);
    on_a_machine([&](Task& task, Env& env, const pg::MadeDataDir& made) {
      Random random(seed);
      return compare_streams(task, env, made, random);
    });
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace argon::pageserver
