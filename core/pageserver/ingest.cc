#include "core/pageserver/ingest.h"

#include <algorithm>
#include <array>

#include "core/pageserver/commit_time.h"
#include "core/pageserver/value.h"

namespace argon::pageserver {

namespace {

constexpr size_t kKnownSlruMax = 10'000;
constexpr size_t kUpperOffset = 14;  // pd_upper

std::array<uint8_t, 4> le32(uint32_t value) {
  std::array<uint8_t, 4> raw;
  store_le(raw.data(), value);
  return raw;
}

Bytes zero_page() {
  return mutation_value(pg::redo::ZeroPage{});
}

}  // namespace

Result<IngestState> ingest_state(Task& task, LayerStore& store, Catalog& catalog, Lsn lsn) {
  IngestState state;
  TRY_ASSIGN(state.tracked, catalog.tracked(task, lsn));
  TRY_ASSIGN(std::optional<CommitTime> last, last_commit(task, store, lsn));
  if (last) state.commit_time = last->time;
  return state;
}

Ingest::Ingest(LayerStore& store, Catalog& catalog, const IngestState& state, const pg::ShardIdentity& shard)
    : store_(store),
      catalog_(catalog),
      shard_(shard),
      tracker_(state.tracked),
      commit_time_(state.commit_time) {
  catalog_.set_redo_settings(redo_settings_of(state.tracked));
}

Bytes Ingest::image_value_of(ByteView content) {
  return image_value(content);
}

template <typename ApplyNew>
Status Ingest::when_new(Task& task, Lsn start, Lsn end, const ApplyNew& apply_new) {
  if (end <= store_.last_record().value()) return {};
  TRY(store_.wait_for_room(task));
  Status applied = apply_new();
  if (applied.ok()) return applied;
  slru_sizes_.clear();  // it may hold what was not put
  return applied.error().with("ingest record at " + to_string(start));
}

Status Ingest::apply(Task& task, const pg::WalRecord& record) {
  return when_new(task, record.start, record.end, [&]() -> Status {
    TRY(pg::decode_record(record.bytes, record.start, record.end, decoded_));
    TRY(interpreter_.interpret(decoded_, interpreted_));
    return apply_new(task, interpreted_);
  });
}

Status Ingest::apply(Task& task, const pg::InterpretedRecord& record) {
  return when_new(task, record.start, record.end, [&]() -> Status {
    if (record.has_effects) TRY(pg::decode_record(record.record, record.start, record.end, decoded_));
    return apply_new(task, record);
  });
}

void Ingest::advance(Lsn end, Lsn last_record) {
  if (end <= store_.last_record().value()) return;
  store_.advance(end, last_record);
  if (store_.wants_freeze()) store_.freeze();
}

Status Ingest::apply_new(Task& task, const pg::InterpretedRecord& record) {
  staged_.clear();
  staged_sizes_.clear();
  staged_growth_ = 0;
  staged_commit_time_.reset();
  for (const pg::InterpretedItem& one : record.items) TRY(item(task, record, one));
  if (record.has_effects)
    TRY(effects(task));
  else if (tracker_.apply_xid(record.xid))
    publish();
  commit(record);
  return {};
}

Status Ingest::effects(Task& task) {
  effects_.clear();
  TRY_ASSIGN(pg::redo::RedoSettings settings, catalog_.redo_settings(task));
  TRY(pg::redo::nonblock_effects(decoded_, settings, effects_));
  for (const pg::redo::Effect& one : effects_)
    TRY(std::visit([&](const auto& e) { return effect(task, e); }, one));
  TRY_ASSIGN(bool changed, tracker_.apply(decoded_));
  if (changed) publish();
  return {};
}

void Ingest::publish() {
  pg::TrackedState state = tracker_.published();
  stage_image(checkpoint_key(), pg::encode_tracked_state(state));
  catalog_.set_redo_settings(redo_settings_of(state));
}

void Ingest::commit(const pg::InterpretedRecord& record) {
  for (const auto& [rel, blocks] : staged_sizes_) {
    if (blocks)
      stage_image(relation_size_key(rel), le32(*blocks));
    else
      stage_image(relation_size_key(rel), {});
    catalog_.know(rel, {blocks, record.end});
  }
  catalog_.note_growth(staged_growth_);
  if (staged_commit_time_) {
    commit_time_ = staged_commit_time_;
    stage_image(commit_time_key(), encode_commit_time(*commit_time_));
  }
  for (const auto& [key, value] : staged_) store_.put(key, record.end, value);
  advance(record.end, record.start);
}

void Ingest::stage(const pg::BlockTag& block, Bytes value) {
  if (shard_.owns(block)) stage(block_key(block), std::move(value));
}

void Ingest::stage(const Key& key, Bytes value) {
  auto [slot, made] = staged_.try_emplace(key);
  slot->second = made ? std::move(value) : join_values(slot->second, value);
}

// ---- Sizes

Result<std::optional<uint32_t>> Ingest::size_of(Task& task, const pg::RelTag& rel) {
  auto staged = staged_sizes_.find(rel);
  if (staged != staged_sizes_.end()) return staged->second;
  return catalog_.newest_size(task, rel);
}

void Ingest::set_size(const pg::RelTag& rel, std::optional<uint32_t> blocks, uint32_t was) {
  staged_sizes_[rel] = blocks;
  staged_growth_ += int64_t{blocks.value_or(0)} - int64_t{was};
}

// A relation in a tablespace of the user's makes its database's folder there, which no record does.
void Ingest::create(const pg::RelTag& rel, uint32_t blocks) {
  bool own = rel.node.spc == pg::kDefaultTablespace || rel.node.spc == pg::kGlobalTablespace;
  if (!own) stage_image(database_key(rel.node.spc, rel.node.db), Bytes{1});
  set_size(rel, blocks, 0);
}

// Makes sure the block exists.
Status Ingest::extend(Task& task, const pg::BlockTag& block, bool makes_page) {
  TRY_ASSIGN(std::optional<uint32_t> size, size_of(task, block.rel));
  uint32_t blocks = size.value_or(0);
  if (block.block < blocks) return {};
  for (uint32_t gap = blocks; gap < block.block; gap++) stage({block.rel, gap}, zero_page());
  if (!makes_page) stage(block, zero_page());
  if (size)
    set_size(block.rel, block.block + 1, blocks);
  else
    create(block.rel, block.block + 1);
  return {};
}

Status Ingest::item(Task& task, const pg::InterpretedRecord& record, const pg::InterpretedItem& item) {
  if (item.kind == pg::ItemKind::Mutation) {
    TRY_ASSIGN(pg::redo::Mutation mutation, pg::redo::decode_mutation(item.content));
    return effect(task, pg::redo::BlockMutation{item.block, std::move(mutation)});
  }
  TRY(extend(task, item.block, item.kind != pg::ItemKind::Record));
  if (item.kind == pg::ItemKind::Observed) return {};
  if (item.kind == pg::ItemKind::Image)
    stage(item.block, image_value(item.content));
  else
    stage(item.block, record_value(record.record, item.kind == pg::ItemKind::RecordWillInit));
  return {};
}

// ---- Pages without a block reference

Status Ingest::effect(Task& task, const pg::redo::BlockMutation& e) {
  TRY_ASSIGN(std::optional<uint32_t> size, size_of(task, e.block.rel));
  if (size && e.block.block < *size) stage(e.block, mutation_value(e.mutation));
  return {};
}

Result<std::optional<uint32_t>> Ingest::slru_size_of(Task& task, Slru slru, uint32_t segment) {
  auto known = slru_sizes_.find({slru, segment});
  if (known != slru_sizes_.end()) return std::optional(known->second);
  TRY_ASSIGN(auto size, catalog_.slru_segment_size(task, slru, segment, store_.last_record().value()));
  if (slru_sizes_.size() >= kKnownSlruMax) slru_sizes_.clear();
  if (size) slru_sizes_[{slru, segment}] = *size;
  return size;
}

void Ingest::note_commit(const pg::redo::Mutation& mutation) {
  const auto* committed = std::get_if<pg::redo::ClogSetCommitted>(&mutation);
  if (committed == nullptr) return;
  staged_commit_time_ = std::max(committed->timestamp, commit_time_.value_or(committed->timestamp));
}

Status Ingest::effect(Task& task, const pg::redo::SlruMutation& e) {
  note_commit(e.mutation);
  uint32_t segment = e.page / pg::kSlruPagesPerSegment;
  uint32_t block = e.page % pg::kSlruPagesPerSegment;
  TRY_ASSIGN(std::optional<uint32_t> size, slru_size_of(task, e.slru, segment));
  uint32_t blocks = size.value_or(0);
  for (uint32_t gap = blocks; gap < block; gap++) stage(slru_block_key(e.slru, segment, gap), zero_page());
  Key key = slru_block_key(e.slru, segment, block);
  if (block >= blocks) {
    if (!pg::redo::will_init(e.mutation)) stage(key, zero_page());
    stage_image(slru_size_key(e.slru, segment), le32(block + 1));
    slru_sizes_[{e.slru, segment}] = block + 1;
  }
  stage(key, mutation_value(e.mutation));
  return {};
}

Status Ingest::effect(Task& task, const pg::redo::SlruTruncate& e) {
  TRY_ASSIGN(auto segments, catalog_.slru_segments(task, e.slru, store_.last_record().value()));
  for (const auto& [segment, blocks] : segments) {
    if (!pg::redo::slru_truncates(e, segment)) continue;
    stage_image(slru_size_key(e.slru, segment), {});
    slru_sizes_.erase({e.slru, segment});
  }
  return {};
}

// ---- Relations

Status Ingest::effect(Task& task, const pg::redo::RelationCreate& e) {
  TRY_ASSIGN(std::optional<uint32_t> size, size_of(task, e.rel));
  if (!size) create(e.rel, 0);
  return {};
}

Status Ingest::effect(Task& task, const pg::redo::RelationTruncate& e) {
  TRY_ASSIGN(std::optional<uint32_t> size, size_of(task, e.rel));
  if (size && *size > e.blocks) set_size(e.rel, e.blocks, *size);
  return {};
}

Status Ingest::effect(Task& task, const pg::redo::RelationDrop& e) {
  for (uint8_t fork = 0; fork <= pg::kLastFork; fork++) {
    pg::RelTag rel{e.rel, static_cast<pg::Fork>(fork)};
    TRY_ASSIGN(std::optional<uint32_t> size, size_of(task, rel));
    if (size) set_size(rel, {}, *size);
  }
  return {};
}

Status Ingest::effect(Task&, const pg::redo::RelationMapUpdate& e) {
  stage_image(relation_map_key(e.tablespace, e.db), e.content);
  return {};
}

// ---- Prepared transactions, databases, tablespaces

Status Ingest::effect(Task&, const pg::redo::TwoPhaseAdd& e) {
  stage_image(two_phase_key(e.xid), pg::redo::two_phase_file(e.state));
  return {};
}

Status Ingest::effect(Task&, const pg::redo::TwoPhaseRemove& e) {
  stage_image(two_phase_key(e.xid), {});
  return {};
}

Status Ingest::effect(Task&, const pg::redo::DatabaseCreate& e) {
  stage_image(database_key(e.tablespace, e.db), Bytes{1});
  return {};
}

Status Ingest::effect(Task& task, const pg::redo::DatabaseCopy& e) {
  Lsn lsn = store_.last_record().value();
  stage_image(database_key(e.tablespace, e.db), Bytes{1});
  auto map = catalog_.file(task, relation_map_key(e.source_tablespace, e.source_db), lsn);
  if (map.ok())
    stage_image(relation_map_key(e.tablespace, e.db), *map);
  else if (!map.is(Code::NotFound))
    return map.error();
  TRY_ASSIGN(Catalog::Sizes sizes,
             catalog_.relations(task, relation_sizes_of(e.source_tablespace, e.source_db), lsn));
  for (const auto& [from, blocks] : sizes) {
    pg::RelTag to{{e.tablespace, e.db, from.node.rel}, from.fork};
    set_size(to, blocks, 0);
    for (uint32_t block = 0; block < blocks; block++) {
      if (!shard_.owns({to, block})) continue;
      TRY_ASSIGN(Bytes page, catalog_.page(task, {from, block}, lsn));
      stage_image(block_key({to, block}), page);
    }
  }
  return {};
}

Status Ingest::effect(Task& task, const pg::redo::DatabaseDrop& e) {
  Lsn lsn = store_.last_record().value();
  TRY_ASSIGN(Catalog::Sizes sizes, catalog_.relations(task, relation_sizes_of(e.tablespace, e.db), lsn));
  for (const auto& [rel, blocks] : sizes) set_size(rel, {}, blocks);
  stage_image(database_key(e.tablespace, e.db), {});
  return {};
}

Status Ingest::effect(Task&, const pg::redo::TablespaceCreate& e) {
  stage_image(tablespace_key(e.tablespace), as_bytes(e.path));
  return {};
}

Status Ingest::effect(Task&, const pg::redo::TablespaceDrop& e) {
  stage_image(tablespace_key(e.tablespace), {});
  return {};
}

}  // namespace argon::pageserver
