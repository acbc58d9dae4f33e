#include "core/compute/model/model_writer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/compute/model/rows.h"
#include "core/pg/redo/canonical.h"
#include "core/pg/redo/nonblock.h"
#include "core/pg/redo/redo.h"

namespace argon::compute {

namespace {

// Object ids of model relations; a made cluster's own end below.
constexpr pg::Oid kFirstRelation = 20'000;
constexpr uint32_t kXidsPerClogPage = 32'768;

pg::RelTag map_of(const pg::RelTag& rel) {
  return {rel.node, pg::Fork::Vm};
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
  for (const pg::RelTag& rel : context_.reference.relations())
    if (rel != rows_relation()) TRY(open_relation(task, rel));
  while (relations_.size() < context_.config.relations) {
    pg::RelTag created = new_relation();
    TRY(create_relation(task, pg::kInvalidXid, created));
    relations_.push_back(created);
  }
  return {};
}

Status ModelWriter::open_relation(Task& task, const pg::RelTag& rel) {
  next_relation_ = std::max(next_relation_, rel.node.rel + 1);
  TRY_ASSIGN(std::optional<uint32_t> blocks, open_table(task, rel));
  if (blocks && rel.fork == pg::Fork::Main) relations_.push_back(rel);
  return {};
}

Result<std::optional<uint32_t>> ModelWriter::open_table(Task& task, const pg::RelTag& rel) {
  ReadLsn at{Lsn::max(), start_lsn_};
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
  if (there) blocks_[rel] = *blocks;
  return blocks;
}

Status ModelWriter::create_relation(Task& task, pg::Xid xid, const pg::RelTag& rel) {
  blocks_[rel] = 0;
  return write(task, pg::smgr_create(xid, rel), {Lsn(), {}, {{rel, 0}}, {}});
}

Status ModelWriter::make_table(Task& task, const pg::RelTag& rel) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  return create_relation(task, pg::kInvalidXid, rel);
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
  TRY(finish_transaction(task, random, outcome.xid, outcome));
  TRY(housekeeping(task, random));
  return outcome;
}

Status ModelWriter::end(Task& task, pg::Xid xid, bool commit) {
  int64_t time = context_.env.wall_now().to_postgres();
  RecordEffect effect{Lsn(), {}, {}, {{xid, commit}}};
  if (commit) effect.commit_time = time;
  return write(task, commit ? pg::xact_commit(xid, time) : pg::xact_abort(xid, time), effect);
}

Status ModelWriter::finish_transaction(Task& task, Random& random, pg::Xid xid, Outcome& outcome) {
  bool abort = random.chance(context_.config.aborts);
  bool rewriting = random.chance({1, 200});
  TRY(rewriting ? rewrite(task, random, xid, abort) : end(task, xid, !abort));
  if (!abort) outcome.commit_end = last_end_;
  return {};
}

Status ModelWriter::rewrite(Task& task, Random& random, pg::Xid xid, bool abort) {
  pg::RelTag created = new_relation();
  TRY(create_relation(task, xid, created));
  int64_t time = context_.env.wall_now().to_postgres();
  size_t replaced = random.below(relations_.size());
  pg::RelTag dropped = abort ? created : relations_[replaced];
  if (!abort) relations_[replaced] = created;
  std::array<pg::RelFileNode, 1> nodes{dropped.node};
  pages_.forget(dropped, 0);
  blocks_.erase(dropped);
  RecordEffect effect{Lsn(), {}, {{dropped, std::nullopt}}, {{xid, !abort}}};
  if (!abort) effect.commit_time = time;
  return write(task, abort ? pg::xact_abort(xid, time, {}, nodes) : pg::xact_commit(xid, time, {}, nodes),
               effect);
}

// As VACUUM cuts the end of a table.
Status ModelWriter::truncate(Task& task, Random& random) {
  pg::RelTag rel = relations_[random.below(relations_.size())];
  uint32_t blocks = blocks_[rel];
  if (blocks == 0) return {};
  auto left = static_cast<uint32_t>(blocks - random.between(1, blocks / 4 + 1));
  if (blocks_of(map_of(rel)) > 0) TRY(pin_map(task, rel));
  pages_.forget(rel, left);
  blocks_[rel] = left;
  return write(task, pg::smgr_truncate(pg::kInvalidXid, rel.node, left), {Lsn(), {}, {{rel, left}}, {}});
}

Result<Bytes> ModelWriter::page(Task& task, const pg::BlockTag& tag) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  Result<Bytes*> page = pages_.get(task, tag);
  pages_.unpin();
  return page.ok() ? Result<Bytes>(**page) : page.error();
}

Result<pg::Xid> ModelWriter::begin_transaction(Task& task) {
  pg::Xid xid = pg::kInvalidXid;
  TRY(allocate_xid(task, xid));
  return xid;
}

Result<Lsn> ModelWriter::end_transaction(Task& task, pg::Xid xid, bool commit) {
  Lock lock;
  TRY(lock.acquire(task, mutex_));
  TRY(end(task, xid, commit));
  return last_end_;
}

// What servers write now and then beside transactions.
Status ModelWriter::housekeeping(Task& task, Random& random) {
  if (random.chance({1, 150})) TRY(truncate(task, random));
  if (random.chance({1, 40})) TRY(set_visible(task, random));
  pages_.unpin();
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
  for (const pg::DecodedBlock& block : record.blocks()) TRY(tell_block(record, block, effect));
  TRY(tell_maps(record, effect));
  context_.reference.add(context_.term, std::move(effect));
  return {};
}

uint32_t ModelWriter::blocks_of(const pg::RelTag& rel) const {
  auto found = blocks_.find(rel);
  return found == blocks_.end() ? 0 : found->second;
}

Status ModelWriter::tell_block(const pg::DecodedRecord& record, const pg::DecodedBlock& block,
                               RecordEffect& effect) {
  pg::BlockTag tag = block.tag();
  Bytes* page = pages_.find(tag);
  CHECK(page != nullptr, "page " + to_string(tag) + " is pinned for the record");
  pg::redo::RedoSettings settings;
  settings.data_checksums = start_.control.data_checksums();
  TRY(pg::redo::apply(record, block, *page, settings));
  pg::redo::canonicalize(tag, *page, settings, true);  // as the pageserver gives it back
  pages_.changed(tag, record.end_lsn);
  effect.pages.emplace_back(tag, hash128(*page));
  if (tag.block < blocks_of(tag.rel)) return {};
  blocks_[tag.rel] = tag.block + 1;
  effect.sizes.emplace_back(tag.rel, tag.block + 1);
  return {};
}

// What the record does to the visibility map beside its blocks. There is no other fork here.
Status ModelWriter::tell_maps(const pg::DecodedRecord& record, RecordEffect& effect) {
  pg::redo::RedoSettings settings;
  settings.data_checksums = start_.control.data_checksums();
  std::vector<pg::redo::Effect> all;
  TRY(pg::redo::nonblock_effects(record, settings, all));
  for (const pg::redo::Effect& one : all) {
    if (const auto* change = std::get_if<pg::redo::BlockMutation>(&one)) {
      if (change->block.block >= blocks_of(change->block.rel)) continue;
      Bytes* page = pages_.find(change->block);
      CHECK(page != nullptr, "page " + to_string(change->block) + " is pinned for the record");
      TRY(pg::redo::apply_mutation(change->mutation, *page));
      pg::redo::canonicalize(change->block, *page, settings, true);
      pages_.changed(change->block, record.end_lsn);
      effect.pages.emplace_back(change->block, hash128(*page));
    } else if (const auto* cut = std::get_if<pg::redo::RelationTruncate>(&one)) {
      if (cut->rel.fork == pg::Fork::Main || cut->blocks >= blocks_of(cut->rel)) continue;
      pages_.forget(cut->rel, cut->blocks);
      blocks_[cut->rel] = cut->blocks;
      effect.sizes.emplace_back(cut->rel, cut->blocks);
    } else if (const auto* drop = std::get_if<pg::redo::RelationDrop>(&one)) {
      pg::RelTag map{drop->rel, pg::Fork::Vm};
      pages_.forget(map, 0);
      if (blocks_.erase(map) > 0) effect.sizes.emplace_back(map, std::nullopt);
    }
  }
  return {};
}

}  // namespace argon::compute
