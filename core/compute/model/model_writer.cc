#include "core/compute/model/model_writer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/base/codec.h"
#include "core/pg/page.h"
#include "core/pg/redo/canonical.h"
#include "core/pg/redo/redo.h"

namespace argon::compute {

namespace {

// Object ids of model relations; a made cluster's own end below.
constexpr pg::Oid kFirstRelation = 20'000;
constexpr uint32_t kXidsPerClogPage = 32'768;
constexpr size_t kPayloadMin = 8;
constexpr size_t kPayloadMax = 1'500;

pg::Xid xmax_of(ByteView tuple) {
  return load_le<pg::Xid>(tuple.data() + 4);
}

// Lines whose tuple nobody deleted yet.
std::vector<uint16_t> live_lines(ByteView page) {
  std::vector<uint16_t> lines;
  for (uint16_t line = 1; line <= pg::line_count(page); line++) {
    ByteView tuple = pg::item(page, line);
    bool live = pg::line_pointer(page, line).state == pg::LineState::Normal &&
                tuple.size() >= pg::kTupleHeader && xmax_of(tuple) == pg::kInvalidXid;
    if (live) lines.push_back(line);
  }
  return lines;
}

uint16_t next_line(ByteView page) {
  return static_cast<uint16_t>(pg::line_count(page) + 1);
}

bool fits(ByteView page, size_t tuple_size) {
  return pg::free_space(page) >= pg::align8(tuple_size) + page.size() / 100 && next_line(page) < 290;
}

}  // namespace

ModelWriter::ModelWriter(const ModelContext& context, const ModelStart& start, Lsn start_lsn)
    : context_(context),
      start_(start),
      start_lsn_(start_lsn),
      pages_(context, start_lsn, start.control.data_checksums()),
      wal_({start.control.system_id, pg::kTimelineId}, start.end, start.record),
      last_end_(start_lsn),
      next_relation_(kFirstRelation),
      next_xid_(start.control.checkpoint.next_xid) {}

pg::RelTag ModelWriter::new_relation() {
  return {{pg::kDefaultTablespace, pg::kPostgresDb, next_relation_++}, pg::Fork::Main};
}

Status ModelWriter::begin(Task& task) {
  TRY(context_.still_writer());
  context_.reference.add(context_.term, {start_.end, {}, {}, {}});
  last_end_ = start_.end;
  TRY(context_.driver.append(task, start_lsn_, start_.wal));
  for (const pg::RelTag& rel : context_.reference.relations()) TRY(open_relation(task, rel));
  while (relations_.size() < context_.config.relations) {
    pg::RelTag created;
    TRY(create_relation(task, pg::kInvalidXid, created));
    relations_.push_back(created);
  }
  return {};
}

Status ModelWriter::open_relation(Task& task, const pg::RelTag& rel) {
  ReadLsn at{Lsn::max(), start_lsn_};
  next_relation_ = std::max(next_relation_, rel.node.rel + 1);
  TRY_ASSIGN(bool there, read_until_there<bool>(task, context_, [&](Task& t) {
               return context_.client.exists(t, to_wire(rel), at);
             }));
  std::optional<uint32_t> blocks;
  if (there) {
    TRY_ASSIGN(blocks, read_until_there<uint32_t>(task, context_, [&](Task& t) {
                 return context_.client.blocks(t, to_wire(rel), at);
               }));
  }
  Status right = context_.reference.check_blocks(rel, start_lsn_, blocks);
  if (!right.ok()) return context_.judge(right.error());
  if (!there) return {};
  relations_.push_back(rel);
  blocks_[rel] = *blocks;
  return {};
}

Status ModelWriter::create_relation(Task& task, pg::Xid xid, pg::RelTag& created) {
  created = new_relation();
  blocks_[created] = 0;
  return write(task, pg::smgr_create(xid, created), {Lsn(), {}, {{created, 0}}, {}});
}

Status ModelWriter::allocate_xid(Task& task, pg::Xid& xid) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  xid = static_cast<pg::Xid>(next_xid_++);
  if (Status fresh = context_.reference.begin_transaction(xid); !fresh.ok())
    return context_.judge(fresh.error());
  if (xid % kXidsPerClogPage == 0) TRY(write(task, pg::clog_zero_page(xid / kXidsPerClogPage)));
  return {};
}

Result<ModelWriter::Outcome> ModelWriter::run_transaction(Task& task, Random& random) {
  Outcome outcome;
  TRY(allocate_xid(task, outcome.xid));
  uint64_t operations = random.between(1, context_.config.operations_max);
  for (; operations > 0; operations--) {
    Lock lock;
    TRY(lock.acquire(task, mutex_));
    Status done = operate(task, random, outcome.xid);
    pages_.unpin();
    TRY(done);
  }
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  TRY(end_transaction(task, random, outcome.xid, outcome));
  TRY(housekeeping(task, random));
  return outcome;
}

Status ModelWriter::end_transaction(Task& task, Random& random, pg::Xid xid, Outcome& outcome) {
  bool abort = random.chance(context_.config.aborts);
  bool rewriting = random.chance({1, 200});
  int64_t time = context_.env.wall_now().to_postgres();
  if (rewriting) {
    TRY(rewrite(task, random, xid, abort));
  } else if (abort) {
    TRY(write(task, pg::xact_abort(xid, time), {Lsn(), {}, {}, {{xid, false}}}));
  } else {
    TRY(write(task, pg::xact_commit(xid, time), {Lsn(), {}, {}, {{xid, true}}}));
  }
  if (!abort) outcome.commit_end = last_end_;
  return {};
}

Status ModelWriter::rewrite(Task& task, Random& random, pg::Xid xid, bool abort) {
  pg::RelTag created;
  TRY(create_relation(task, xid, created));
  int64_t time = context_.env.wall_now().to_postgres();
  size_t replaced = random.below(relations_.size());
  pg::RelTag dropped = abort ? created : relations_[replaced];
  if (!abort) relations_[replaced] = created;
  std::array<pg::RelFileNode, 1> nodes{dropped.node};
  pages_.forget(dropped, 0);
  blocks_.erase(dropped);
  RecordEffect effect{Lsn(), {}, {{dropped, std::nullopt}}, {{xid, !abort}}};
  return write(task, abort ? pg::xact_abort(xid, time, {}, nodes) : pg::xact_commit(xid, time, {}, nodes),
               effect);
}

// As VACUUM cuts the end of a table.
Status ModelWriter::truncate(Task& task, Random& random) {
  pg::RelTag rel = relations_[random.below(relations_.size())];
  uint32_t blocks = blocks_[rel];
  if (blocks == 0) return {};
  auto left = static_cast<uint32_t>(blocks - random.between(1, blocks / 4 + 1));
  pages_.forget(rel, left);
  blocks_[rel] = left;
  return write(task, pg::smgr_truncate(pg::kInvalidXid, rel.node, left), {Lsn(), {}, {{rel, left}}, {}});
}

Status ModelWriter::operate(Task& task, Random& random, pg::Xid xid) {
  pg::RelTag rel = relations_[random.below(relations_.size())];
  bool make_new = blocks_[rel] == 0 || random.chance({1, 2});
  return make_new ? insert(task, random, rel, xid) : change(task, random, rel, xid);
}

Bytes ModelWriter::make_tuple(Random& random, pg::Xid xid) {
  size_t payload = random.log_uniform(kPayloadMin, kPayloadMax);
  Bytes tuple;
  Writer w(tuple);
  w.le(xid).le<uint32_t>(0).le<uint32_t>(0);                     // xmin, xmax, command id
  w.zeros(6);                                                    // ctid: redo sets it
  w.le<uint16_t>(2).le<uint16_t>(0x0800 | 0x0002).u8(24).u8(0);  // two columns, xmax invalid, variable width
  w.le(next_row_++);
  size_t at = tuple.size();
  tuple.resize(at + payload);
  random.fill(ByteSpan(tuple).subspan(at));
  return tuple;
}

pg::HeapPlace ModelWriter::extend(const pg::RelTag& rel, bool& fresh) {
  pg::HeapPlace place{rel, blocks_[rel], 1};
  pages_.make({rel, place.block});
  fresh = true;
  return place;
}

Result<pg::HeapPlace> ModelWriter::place_for(Task& task, Random& random, const pg::RelTag& rel,
                                             size_t tuple_size, bool& fresh) {
  uint32_t blocks = blocks_[rel];
  if (blocks == 0 || random.chance({1, 12})) return extend(rel, fresh);
  // Mostly the last block, as a table without free space map fills.
  bool last = random.chance({2, 3});
  uint32_t block = last ? blocks - 1 : static_cast<uint32_t>(random.below(blocks));
  TRY_ASSIGN(Bytes * page, pages_.get(task, {rel, block}));
  if (!fits(*page, tuple_size)) return extend(rel, fresh);
  return pg::HeapPlace{rel, block, next_line(*page)};
}

Status ModelWriter::insert(Task& task, Random& random, const pg::RelTag& rel, pg::Xid xid) {
  Bytes tuple = make_tuple(random, xid);
  bool fresh = false;
  TRY_ASSIGN(pg::HeapPlace place, place_for(task, random, rel, tuple.size(), fresh));
  return write(task, pg::heap_insert(xid, place, tuple, fresh));
}

// Updates or deletes a tuple of a random block; inserts where there is none to change.
Status ModelWriter::change(Task& task, Random& random, const pg::RelTag& rel, pg::Xid xid) {
  auto block = static_cast<uint32_t>(random.below(blocks_[rel]));
  TRY_ASSIGN(Bytes * page, pages_.get(task, {rel, block}));
  std::vector<uint16_t> lines = live_lines(*page);
  if (lines.empty()) return insert(task, random, rel, xid);
  uint16_t line = lines[random.below(lines.size())];
  pg::HeapPlace old{rel, block, line};
  if (random.chance({1, 3})) return write(task, pg::heap_delete(xid, old));
  Bytes tuple = make_tuple(random, xid);
  if (fits(*page, tuple.size())) {
    bool hot = random.chance({1, 2});
    return write(task, pg::heap_update(xid, old, {rel, block, next_line(*page)}, tuple, hot, false));
  }
  bool fresh = false;
  TRY_ASSIGN(pg::HeapPlace now, place_for(task, random, rel, tuple.size(), fresh));
  if (now.block == block) now = extend(rel, fresh);
  return write(task, pg::heap_update(xid, old, now, tuple, false, fresh));
}

// What servers write now and then beside transactions.
Status ModelWriter::housekeeping(Task& task, Random& random) {
  if (random.chance({1, 150})) TRY(truncate(task, random));
  if (random.chance({1, 40})) {
    auto next = static_cast<pg::Xid>(next_xid_);
    TRY(write(task, pg::running_xacts(next, {})));
  }
  if (random.chance({1, 80})) {
    pg::Checkpoint checkpoint = start_.control.checkpoint;
    checkpoint.redo = wal_.next_start();
    checkpoint.next_xid = next_xid_;
    checkpoint.oldest_active_xid = static_cast<pg::Xid>(next_xid_);
    TRY(write(task, pg::checkpoint_online(checkpoint)));
  }
  return {};
}

Status ModelWriter::write(Task& task, const pg::RecordBuilder& builder, RecordEffect effect) {
  TRY(context_.still_writer());
  Bytes whole = builder.build(wal_.previous());
  pg::PlacedRecord placed = wal_.append_whole(whole);
  TRY_ASSIGN(pg::DecodedRecord record, pg::decode_record(whole, placed.start, placed.end));
  TRY(tell(record, std::move(effect)));
  Lsn begin = wal_.begin();
  Bytes wal = wal_.take();
  last_end_ = placed.end;
  return context_.driver.append(task, begin, wal);
}

Status ModelWriter::tell(const pg::DecodedRecord& record, RecordEffect effect) {
  effect.end = record.end_lsn;
  effect.xid = record.xid;
  for (const pg::DecodedBlock& block : record.blocks()) {
    pg::BlockTag tag = block.tag();
    Bytes* page = pages_.find(tag);
    CHECK(page != nullptr, "page " + to_string(tag) + " is pinned for the record");
    pg::redo::RedoSettings settings;
    settings.data_checksums = start_.control.data_checksums();
    TRY(pg::redo::apply(record, block, *page, settings));
    pg::redo::canonicalize(tag, *page, settings, true);  // as the pageserver gives it back
    pages_.changed(tag, record.end_lsn);
    effect.pages.emplace_back(tag, hash128(*page));
    if (tag.block < blocks_[tag.rel]) continue;
    blocks_[tag.rel] = tag.block + 1;
    effect.sizes.emplace_back(tag.rel, tag.block + 1);
  }
  context_.reference.add(context_.term, std::move(effect));
  return {};
}

}  // namespace argon::compute
