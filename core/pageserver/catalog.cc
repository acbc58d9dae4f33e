#include "core/pageserver/catalog.h"

#include <algorithm>

#include "core/env/points.h"
#include "core/pageserver/reconstruct.h"
#include "core/pageserver/value.h"

namespace argon::pageserver {

namespace {

constexpr size_t kKnownSizesMax = 200'000;

Result<uint32_t> blocks_of(const Key& key, ByteView content) {
  if (content.size() != 4) return Error(Code::Corrupt, describe(key) + ": the value has the wrong length");
  return load_le<uint32_t>(content.data());
}

class OnTask final : public RedoOfExtensions {
 public:
  OnTask(Task& task, ExtensionRedo* redo, const pg::redo::RedoSettings& settings)
      : task_(task), redo_(redo), settings_(settings) {}
  Status apply(const pg::BlockTag& block, std::span<const StoredRecord> records, ByteSpan page) override {
    return redo_->apply(task_, block, records, settings_, page);
  }

 private:
  Task& task_;
  ExtensionRedo* redo_;
  const pg::redo::RedoSettings& settings_;
};

}  // namespace

const Catalog::Size* Catalog::known(const pg::RelTag& rel) const {
  auto found = sizes_.find(rel);
  return found == sizes_.end() ? nullptr : &found->second;
}

void Catalog::know(const pg::RelTag& rel, const Size& size) {
  if (sizes_.size() >= kKnownSizesMax) {
    sizes_.clear();
    sizes_cleared_++;
  }
  sizes_[rel] = size;
}

Result<std::optional<uint32_t>> Catalog::relation_size(Task& task, const pg::RelTag& rel, Lsn lsn) {
  const Size* size = known(rel);
  if (size == nullptr) {
    auto newest = newest_size(task, rel);
    if (newest.is(Code::Cancelled)) return newest.error();
    size = known(rel);
  }
  if (size != nullptr && size->since <= lsn) return size->blocks;
  Key key = relation_size_key(rel);
  auto content = file(task, key, lsn);
  if (content.is(Code::NotFound)) return std::optional<uint32_t>();
  if (!content.ok()) return content.error();
  TRY_ASSIGN(uint32_t blocks, blocks_of(key, *content));
  return std::optional(blocks);
}

Result<std::optional<uint32_t>> Catalog::newest_size(Task& task, const pg::RelTag& rel) {
  if (const Size* size = known(rel)) return size->blocks;
  uint64_t cleared = sizes_cleared_;
  Lsn now = store_.last_record().value();
  Key key = relation_size_key(rel);
  TRY_ASSIGN(Chain chain, store_.collect(task, key, now));
  // An image layer that does not hold the key hides when the fork ceased to exist.
  Size size{{}, chain.versions.empty() ? now : chain.versions.front().lsn};
  auto content = newest_image(key, chain);
  if (content.ok()) {
    TRY_ASSIGN(uint32_t blocks, blocks_of(key, *content));
    size.blocks = blocks;
  } else if (!content.is(Code::NotFound)) {
    return content.error();
  }
  // Meanwhile ingest may have made a newer one.
  if (known(rel) == nullptr && cleared == sizes_cleared_) know(rel, size);
  return size.blocks;
}

Result<std::optional<uint32_t>> Catalog::slru_segment_size(Task& task, pg::redo::Slru slru, uint32_t segment,
                                                           Lsn lsn) {
  Key key = slru_size_key(slru, segment);
  auto content = file(task, key, lsn);
  if (content.is(Code::NotFound)) return std::optional<uint32_t>();
  if (!content.ok()) return content.error();
  TRY_ASSIGN(uint32_t blocks, blocks_of(key, *content));
  return std::optional(blocks);
}

Result<Bytes> Catalog::materialize(Task& task, const Key& key, Lsn lsn) {
  if (!is_block_key(key) && !is_slru_block_key(key)) return file(task, key, lsn);
  TRY_ASSIGN(Chain chain, store_.collect(task, key, lsn));
  return made_of(task, key, chain);
}

Result<Bytes> Catalog::kept_or_made(Task& task, const Key& key, Lsn lsn) {
  if (pages_ == nullptr) return materialize(task, key, lsn);
  uint64_t owner = owner_;
  std::shared_ptr<MaterializedPages::Page> kept = pages_->find(owner, key, lsn);
  if (kept != nullptr && lsn <= kept->until) return kept->content;
  TRY_ASSIGN(Chain chain, store_.collect(task, key, lsn, kept != nullptr ? kept->until : Lsn()));
  if (kept != nullptr && !chain.complete) {
    task.env().probe("pageserver.page-made-of-a-kept-one"_probe);
    if (chain.versions.empty()) {
      kept->until = std::max(kept->until, lsn);
      return kept->content;
    }
    chain.versions.push_back({kept->since, image_value(kept->content)});
    chain.complete = true;
  }
  Result<Bytes> page = made_of(task, key, chain);
  if (page.ok() && pages_->worth_keeping(chain.versions.size()))
    pages_->insert(owner, key, {chain.versions.front().lsn, lsn, *page});
  return page;
}

Result<Bytes> Catalog::made_of(Task& task, const Key& key, const Chain& chain) {
  TRY_ASSIGN(pg::redo::RedoSettings settings, redo_settings(task));
  OnTask extensions(task, extensions_, settings);
  auto page = reconstruct_page(key, chain, settings, extensions_ != nullptr ? &extensions : nullptr);
  if (page.ok()) {
    if (!unreadable_.empty()) unreadable_.erase(key);
  } else if (!page.is(Code::NotFound) && !page.is(Code::Cancelled)) {
    note_unreadable(key, page.error());
  }
  return page;
}

void Catalog::note_unreadable(const Key& key, const Error& error) {
  redo_errors_++;
  if (unreadable_.size() < kUnreadableMax || unreadable_.contains(key)) unreadable_[key] = error.to_string();
}

pg::redo::RedoSettings redo_settings_of(const pg::TrackedState& state) {
  return {.data_checksums = state.data_checksums,
          .wal_log_hints = state.settings.wal_log_hints,
          .track_commit_timestamp = state.settings.track_commit_timestamp};
}

void Catalog::set_redo_settings(const pg::redo::RedoSettings& settings) {
  // Pages that were made otherwise have another form.
  if (pages_ != nullptr && settings_ && *settings_ != settings) owner_ = pages_->new_owner();
  settings_ = settings;
}

Result<pg::redo::RedoSettings> Catalog::redo_settings(Task& task) {
  if (settings_) return *settings_;
  TRY_ASSIGN(pg::TrackedState state, tracked(task, store_.last_record().value()));
  if (!settings_) settings_ = redo_settings_of(state);  // ingest may have said so meanwhile
  return *settings_;
}

Result<Bytes> Catalog::page(Task& task, const pg::BlockTag& block, Lsn lsn) {
  TRY_ASSIGN(auto size, relation_size(task, block.rel, lsn));
  if (!size || block.block >= *size) return Bytes(pg::kBlockSize);
  auto page = kept_or_made(task, block_key(block), lsn);
  if (page.is(Code::NotFound))
    return Error(Code::Corrupt, page.error().message() + " at " + to_string(lsn) + ", though the fork has " +
                                    std::to_string(*size) + " blocks");
  return page;
}

Result<Bytes> Catalog::file(Task& task, const Key& key, Lsn lsn) {
  TRY_ASSIGN(Chain chain, store_.collect(task, key, lsn));
  return newest_image(key, chain);
}

Result<Catalog::Sizes> Catalog::relations(Task& task, const KeyRange& range, Lsn lsn,
                                          LayerStore::KeyFilter wanted) {
  TRY_ASSIGN(auto found, store_.scan(task, range, lsn, wanted));
  Sizes sizes;
  for (const auto& [key, content] : found) {
    TRY_ASSIGN(uint32_t blocks, blocks_of(key, content));
    sizes.emplace(block_of(key).rel, blocks);
  }
  return sizes;
}

Result<std::map<uint32_t, uint32_t>> Catalog::slru_segments(Task& task, pg::redo::Slru slru, Lsn lsn) {
  TRY_ASSIGN(auto found, store_.scan(task, slru_sizes_of(slru), lsn));
  std::map<uint32_t, uint32_t> segments;
  for (const auto& [key, content] : found) {
    TRY_ASSIGN(uint32_t blocks, blocks_of(key, content));
    segments.emplace(key.f4, blocks);
  }
  return segments;
}

Result<std::map<pg::Xid, Bytes>> Catalog::two_phase(Task& task, Lsn lsn) {
  TRY_ASSIGN(auto found, store_.scan(task, two_phase_files(), lsn));
  std::map<pg::Xid, Bytes> files;
  for (auto& [key, content] : found) files.emplace(key.f6, std::move(content));
  return files;
}

Result<Bytes> read_slru_segment(Task& task, Catalog& catalog, pg::redo::Slru slru, uint32_t segment,
                                Lsn lsn) {
  TRY_ASSIGN(auto blocks, catalog.slru_segment_size(task, slru, segment, lsn));
  if (!blocks)
    return Error(Code::NotFound, "segment " + std::to_string(segment) + " of SLRU " +
                                     std::to_string(static_cast<int>(slru)) + " does not exist at " +
                                     to_string(lsn));
  Bytes out;
  for (uint32_t block = 0; block < *blocks; block++) {
    TRY_ASSIGN(Bytes page, catalog.materialize(task, slru_block_key(slru, segment, block), lsn));
    append(out, page);
  }
  return out;
}

Result<std::set<std::pair<pg::Oid, pg::Oid>>> Catalog::databases(Task& task, Lsn lsn) {
  TRY_ASSIGN(auto found, store_.scan(task, pageserver::databases(), lsn));
  std::set<std::pair<pg::Oid, pg::Oid>> out;
  for (const auto& [key, content] : found) out.emplace(key.f2, key.f3);
  return out;
}

Result<uint64_t> Catalog::database_bytes(Task& task, pg::Oid db, Lsn lsn) {
  TRY_ASSIGN(auto all, databases(task, lsn));
  uint64_t bytes = 0;
  for (const auto& [spc, id] : all) {
    if (id != db) continue;
    TRY_ASSIGN(Sizes sizes, relations(task, relation_sizes_of(spc, db), lsn));
    for (const auto& [rel, blocks] : sizes) bytes += uint64_t{blocks} * pg::kBlockSize;
  }
  return bytes;
}

Result<pg::ControlFile> Catalog::control(Task& task, Lsn lsn) {
  TRY_ASSIGN(Bytes content, file(task, control_key(), lsn));
  return pg::decode_control_file(content);
}

Result<pg::TrackedState> Catalog::tracked(Task& task, Lsn lsn) {
  TRY_ASSIGN(Bytes content, file(task, checkpoint_key(), lsn));
  return pg::decode_tracked_state(content);
}

Result<uint64_t> Catalog::block_bytes(Task& task, const std::vector<KeyRange>& ranges, Lsn lsn) {
  TRY_ASSIGN(Sizes sizes, relations(task, relation_sizes(), lsn));
  uint64_t blocks = 0;
  for (const auto& [rel, size] : sizes) {
    if (size == 0) continue;
    for (const KeyRange& range : ranges) {
      Key first = std::max(range.begin, block_key({rel, 0}));
      Key end = std::min(range.end, block_key({rel, size}));
      if (first < end) blocks += (end.f6 > first.f6 && end.f5 == first.f5 ? end.f6 - first.f6 : 1);
    }
  }
  return blocks * pg::kBlockSize;
}

Result<std::vector<Key>> Catalog::keys(Task& task, const KeyRange& range, Lsn lsn) {
  std::vector<Key> keys;
  auto offer = [&](const Key& key) {
    if (range.contains(key)) keys.push_back(key);
  };
  TRY_ASSIGN(Sizes sizes, relations(task, relation_sizes(), lsn));
  for (const auto& [rel, blocks] : sizes) {
    if (!range.overlaps({block_key({rel, 0}), block_key({rel, blocks}).next()})) continue;
    for (uint32_t block = 0; block < blocks; block++) offer(block_key({rel, block}));
  }
  TRY_ASSIGN(auto all, databases(task, lsn));
  for (const auto& [spc, db] : all) offer(relation_map_key(spc, db));
  for (uint8_t slru = 0; slru <= pg::redo::kLastSlru; slru++) {
    auto kind = static_cast<pg::redo::Slru>(slru);
    TRY_ASSIGN(auto segments, slru_segments(task, kind, lsn));
    for (const auto& [segment, blocks] : segments)
      for (uint32_t block = 0; block < blocks; block++) offer(slru_block_key(kind, segment, block));
  }
  offer(control_key());
  offer(checkpoint_key());
  offer(commit_time_key());  // there is none before the first commit
  KeyRange sparse{std::max(range.begin, Key{0x60, 0, 0, 0, 0, 0}), range.end};
  if (sparse.begin < sparse.end) {
    TRY_ASSIGN(auto entries, store_.scan(task, sparse, lsn));
    for (const auto& [key, content] : entries) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace argon::pageserver
