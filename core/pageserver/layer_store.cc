#include "core/pageserver/layer_store.h"

#include <algorithm>

#include "core/env/io.h"
#include "core/env/points.h"
#include "core/pageserver/value.h"

namespace argon::pageserver {

namespace {

constexpr uint64_t kMaxIndexBytes = 256u << 20;
constexpr std::string_view kIndexName = "index";

}  // namespace

LayerStore::LayerStore(Env& env, TenantTimelineId id, std::string folder, const StoreOptions& options,
                       NodeCache& cache)
    : env_(env), folder_(std::move(folder)), options_(options), cache_(cache) {
  index_.id = id;
  open_ = std::make_shared<MemoryLayer>(Lsn(0));
}

// ---- Opening

Status LayerStore::remove_index(Task& task, Disk& disk, const std::string& folder) {
  Status removed = disk.unlink(task, join_path(folder, kIndexName));
  if (removed.ok()) removed = disk.sync_dir(task, folder);
  return removed.is(Code::NotFound) ? Status() : removed;
}

Status LayerStore::remove_folder(Task& task, Disk& disk, const std::string& folder) {
  TRY(remove_index(task, disk, folder));
  return remove_tree(task, disk, folder);
}

Result<TimelineIndex> LayerStore::read_index(Task& task, Disk& disk, const std::string& folder) {
  std::string path = join_path(folder, kIndexName);
  TRY_ASSIGN(Bytes bytes, read_file(task, disk, path, kMaxIndexBytes));
  return decode_index(bytes, path);
}

Status LayerStore::create(Task& task, const TimelineIndex& index) {
  TRY(make_dirs(task, env_.disk(), folder_));
  TRY(open(task, index));
  return write_index(task);
}

void LayerStore::set_uploaded(const std::set<LayerName>& names, const LayerFile::Fetch& fetch) {
  for (const LayerPtr& layer : layers_)
    if (names.contains(layer->name())) layer->set_uploaded(fetch);
}

Status LayerStore::open(Task& task, const TimelineIndex& index) {
  CHECK(index.id == index_.id);
  index_ = index;
  index_.layers.clear();
  std::map<std::string, LayerPtr> wanted;
  for (const TimelineIndex::Layer& layer : index.layers) {
    wanted[to_string(layer.name)] = add_layer(layer.name, layer.size);
  }
  TRY_ASSIGN(std::vector<DirEntry> files, env_.disk().list(task, folder_));
  for (const DirEntry& file : files) {
    if (auto layer = wanted.find(file.name); layer != wanted.end()) {
      layer->second->set_resident();
    } else if (file.name != kIndexName && !file.is_directory) {
      env_.probe("pageserver.stray-file-removed"_probe);
      TRY(env_.disk().unlink(task, join_path(folder_, file.name)));
    }
  }
  prev_record_ = index.prev_record;
  last_record_ = Watermark<Lsn>(index.disk_consistent);
  open_ = std::make_shared<MemoryLayer>(index.disk_consistent + 1);
  return {};
}

void LayerStore::set_generation(Generation generation) {
  if (index_.generation < generation) {
    index_.generation = generation;
    index_.sequence = 0;
  }
}

LayerStore::LayerPtr LayerStore::add_layer(const LayerName& name, uint64_t size) {
  auto layer =
      std::make_shared<LayerFile>(index_.id, name, join_path(folder_, to_string(name)), size, cache_);
  layers_.insert(layer);
  return layer;
}

LayerName LayerStore::new_name(LayerKind kind, const KeyRange& keys, Lsn begin, Lsn end) {
  uint64_t file_id = env_.random("pageserver.layer").next();
  return {kind, keys, begin, end, file_id, index_.generation};
}

TimelineIndex LayerStore::index() const {
  TimelineIndex index = index_;
  for (const LayerPtr& layer : layers_) index.layers.push_back({layer->name(), layer->size()});
  return index;
}

uint64_t LayerStore::layer_bytes() const {
  uint64_t sum = 0;
  for (const LayerPtr& layer : layers_) sum += layer->size();
  return sum;
}

uint64_t LayerStore::resident_bytes() const {
  uint64_t sum = 0;
  for (const LayerPtr& layer : layers_)
    if (layer->resident()) sum += layer->size();
  return sum;
}

uint64_t LayerStore::memory_bytes() const {
  uint64_t sum = open_->bytes();
  for (const Frozen& frozen : frozen_) sum += frozen.layer->bytes();
  return sum;
}

Status LayerStore::write_index(Task& task) {
  Lock lock;
  TRY(lock.acquire(task, index_writing_));
  index_stale_ = true;
  Bytes bytes = encode_index(next_index());
  TRY(write_file_durably(task, env_.disk(), join_path(folder_, kIndexName), bytes));
  index_stale_ = false;
  return {};
}

// ---- Writing

bool LayerStore::too_many_l0() const {
  // Of two a compaction makes fewer; and below the threshold there is none.
  return compacting_ && l0_count() >= std::max({options_.l0_limit, options_.compaction_threshold, 2u});
}

Status LayerStore::wait_for_room(Task& task) {
  while (true) {
    if (frozen_.size() >= options_.max_frozen)
      env_.probe("pageserver.ingest-waited"_probe);
    else if (too_many_l0())
      env_.probe("pageserver.ingest-waited-for-compaction"_probe);
    else
      return {};
    TRY(room_.wait(task));
  }
}

void LayerStore::set_compacting(bool compacting) {
  compacting_ = compacting;
  room_.notify_all();
}

void LayerStore::put(const Key& key, Lsn lsn, ByteView value) {
  CHECK(lsn > last_record_.value());
  open_->put(key, lsn, value);
}

void LayerStore::advance(Lsn lsn, Lsn prev) {
  CHECK(lsn >= last_record_.value());
  prev_record_ = prev;
  last_record_.advance(lsn);
  work_.notify_all();
}

void LayerStore::freeze() {
  Lsn last = last_record_.value();
  Lsn before = frozen_.empty() ? index_.disk_consistent : frozen_.back().last;
  if (last <= before) return;
  open_->freeze(last + 1);
  frozen_.push_back({std::move(open_), last, prev_record_});
  open_ = std::make_shared<MemoryLayer>(last + 1);
  changes_.notify_all();
}

// ---- Reading

// Until a branch can be read at `lsn`: after a start its ancestor may be behind.
Status LayerStore::reach(Task& task, Lsn lsn) {
  if (last_record_.value() >= lsn) return {};
  env_.probe("pageserver.ancestor-waited-for"_probe);
  return last_record_.wait_for(task, lsn);
}

Result<Chain> LayerStore::collect(Task& task, const Key& key, Lsn lsn, Lsn above) {
  Chain chain;
  for (LayerStore* store = this; store != nullptr && lsn > above; store = store->ancestor_) {
    TRY_ASSIGN(chain.complete, store->collect_here(task, key, lsn, above, chain.versions));
    if (chain.complete && store != this) env_.probe("pageserver.base-from-ancestor"_probe);
    if (chain.complete) break;
    lsn = std::min(lsn, store->index_.ancestor_lsn);
    if (store->ancestor_ != nullptr && lsn > above) TRY(store->ancestor_->reach(task, lsn));
  }
  return chain;
}

bool LayerStore::try_again(uint64_t began_with, const Error& error) const {
  if (began_with == layer_sets_ || error.code() == Code::Cancelled) return false;
  env_.probe("pageserver.read-again"_probe);
  return true;
}

Result<bool> LayerStore::collect_here(Task& task, const Key& key, Lsn lsn, Lsn above,
                                      std::vector<Version>& out) {
  for (size_t before = out.size();;) {
    uint64_t began_with = layer_sets_;
    auto ended = collect_once(task, key, lsn, above, out);
    if (ended.ok() || !try_again(began_with, ended.error())) return ended;
    out.erase(out.begin() + static_cast<ptrdiff_t>(before), out.end());
  }
}

Result<bool> LayerStore::collect_once(Task& task, const Key& key, Lsn lsn, Lsn above,
                                      std::vector<Version>& out) {
  // What to look at is fixed now, before anything suspends.
  std::vector<LayerPtr> deltas;
  LayerPtr image;
  layers_.visit_at(key, [&](const LayerPtr& layer) {
    const LayerName& name = layer->name();
    if (name.begin > lsn || name.end <= above + 1) return;
    if (!layer->is_delta()) {
      if (!image || image->name().begin < name.begin) image = layer;
    } else if (layer->may_hold(key)) {
      deltas.push_back(layer);
    }
  });
  Lsn low = std::max(image ? image->name().begin + 1 : Lsn(0), above.valid() ? above + 1 : Lsn(0));
  Lsn high = lsn + 1;
  if (open_->collect(key, low, high, out)) return true;
  for (auto frozen = frozen_.rbegin(); frozen != frozen_.rend(); ++frozen) {
    if (!frozen->layer->collect(key, low, high, out)) continue;
    env_.probe("pageserver.base-in-frozen-layer"_probe);
    return true;
  }
  std::ranges::sort(deltas,
                    [](const LayerPtr& a, const LayerPtr& b) { return a->name().end > b->name().end; });
  for (const LayerPtr& delta : deltas) {
    if (delta->name().end <= low) continue;
    TRY_ASSIGN(bool ended, delta->collect(task, key, low, high, out));
    if (ended) return true;
  }
  if (!image) return false;
  TRY_ASSIGN(bool ended, image->collect(task, key, image->name().begin, image->name().end, out));
  // The image is of all keys there are: what it does not hold does not exist, here or in an ancestor.
  (void)ended;
  return true;
}

// ---- Layers on disk

Status LayerStore::replace(Task& task, std::vector<LayerPtr> remove, std::vector<LayerPtr> add,
                           std::optional<std::pair<Lsn, Lsn>> consistent) {
  layer_sets_++;
  for (const LayerPtr& layer : remove) layers_.erase(layer);
  for (LayerPtr& layer : add) layers_.insert(std::move(layer));
  if (consistent) {
    index_.disk_consistent = consistent->first;
    index_.prev_record = consistent->second;
    CHECK(!frozen_.empty());
    frozen_.pop_front();
    flushes_.notify_all();
  }
  room_.notify_all();
  for (LayerPtr& layer : remove) doomed_.push_back(std::move(layer));
  changes_.notify_all();
  work_.notify_all();
  return write_index(task);
}

Result<LayerStore::LayerPtr> LayerStore::write_memory(Task& task, const MemoryLayer& memory) {
  if (memory.empty()) return LayerPtr();
  LayerName name = new_name(LayerKind::Delta, KeyRange::all(), memory.begin(), memory.end());
  BloomFilter keys(memory.entries().size());
  auto fill = [&](Task& t, LayerWriter& out) -> Result<Key> {
    auto at = memory.entries().begin();
    size_t version = 0;
    TRY(out.add_all(t, [&](LayerBuilder& builder) {
      for (; at != memory.entries().end(); ++at, version = 0) {
        keys.add(at->first);
        for (; version < at->second.size(); version++) {
          if (builder.has_piece()) return true;
          builder.add(at->first, at->second[version].lsn, at->second[version].value);
        }
      }
      return false;
    }));
    return Key::max();
  };
  TRY_ASSIGN(LayerPtr layer, write_layer(task, name, fill));
  layer->set_filter(std::move(keys));
  return layer;
}

// Until all older layers are in the index. Their files may need the room that this one's takes: it is not to
// wait for a flush that is only tried again.
Status LayerStore::wait_for_older(Task& task, const Frozen& frozen) {
  while (&frozen_.front() != &frozen) {
    for (const Frozen& older : frozen_) {
      if (&older == &frozen) break;
      if (older.taken) continue;
      env_.probe("pageserver.flush-behind-a-failed-one"_probe);
      return Error(Code::Unavailable, "an older layer could not be flushed");
    }
    env_.probe("pageserver.flush-waited-for-an-older-one"_probe);
    TRY(flushes_.wait(task));
  }
  return {};
}

Result<bool> LayerStore::flush_one(Task& task) {
  auto next = std::ranges::find(frozen_, false, &Frozen::taken);
  if (next == frozen_.end()) return false;
  Frozen& frozen = *next;  // others come and go at the deque's ends
  frozen.taken = true;
  auto not_flushed = [&](const Error& error) {
    frozen.taken = false;
    flushes_.notify_all();
    return error;
  };
  auto written = write_memory(task, *frozen.layer);
  if (!written.ok()) return not_flushed(written.error());
  if (Status turn = wait_for_older(task, frozen); !turn.ok()) {
    if (*written) ignore_result(env_.disk().unlink(task, (*written)->path()));
    return not_flushed(turn.error());
  }
  std::vector<LayerPtr> added;
  if (*written) added.push_back(*std::move(written));
  TRY(replace(task, {}, std::move(added), std::pair(frozen.last, frozen.prev)));
  return true;
}

Status LayerStore::write_images(Task& task, Lsn lsn, const std::vector<std::pair<Key, Bytes>>& entries) {
  std::vector<LayerPtr> added;
  size_t at = 0;
  Key begin = Key::min();
  while (at < entries.size() || begin == Key::min()) {
    LayerName name = new_name(LayerKind::Image, {begin, Key::max()}, lsn, lsn + 1);
    TRY_ASSIGN(LayerPtr layer, write_layer(task, name, [&](Task& t, LayerWriter& out) -> Result<Key> {
                 for (; at < entries.size() && out.value_bytes() < options_.compaction_target; at++)
                   TRY(out.add(t, entries[at].first, lsn, image_value(entries[at].second)));
                 return at < entries.size() ? entries[at].first : Key::max();
               }));
    begin = layer->name().keys.end;
    added.push_back(std::move(layer));
  }
  return replace(task, {}, std::move(added));
}

// ---- Made anew

std::unique_ptr<LayerStore> LayerStore::as_uploaded(const TimelineIndex& uploaded,
                                                    const LayerFile::Fetch& fetch) {
  CHECK(uploaded.id == index_.id);
  auto anew = std::make_unique<LayerStore>(env_, index_.id, folder_, options_, cache_);
  anew->index_ = uploaded;
  anew->index_.layers.clear();
  anew->index_.generation = index_.generation;
  anew->ancestor_ = ancestor_;
  anew->prev_record_ = uploaded.prev_record;
  anew->last_record_ = Watermark<Lsn>(uploaded.disk_consistent);
  anew->open_ = std::make_shared<MemoryLayer>(uploaded.disk_consistent + 1);
  for (const TimelineIndex::Layer& wanted : uploaded.layers) {
    auto named = [&](const LayerPtr& layer) { return layer->name() == wanted.name; };
    LayerPtr layer;
    if (auto here = std::ranges::find_if(layers_, named); here != layers_.end()) layer = *here;
    // One that compaction replaced is not to be removed any more.
    if (auto left = std::ranges::find_if(doomed_, named); left != doomed_.end()) {
      layer = *left;
      doomed_.erase(left);
    }
    if (!layer)
      layer = std::make_shared<LayerFile>(index_.id, wanted.name, join_path(folder_, to_string(wanted.name)),
                                          wanted.size, cache_);
    layer->set_uploaded(fetch);
    anew->layers_.insert(std::move(layer));
  }
  return anew;
}

Status LayerStore::flush_unnamed(Task& task) {
  while (!frozen_.empty()) {
    TRY_ASSIGN(LayerPtr layer, write_memory(task, *frozen_.front().layer));
    if (layer) layers_.insert(std::move(layer));
    index_.disk_consistent = frozen_.front().last;
    index_.prev_record = frozen_.front().prev;
    frozen_.pop_front();
  }
  return {};
}

Status LayerStore::adopt(Task& task, LayerStore& anew) {
  Lsn end = anew.index_.disk_consistent;
  CHECK(end == anew.last_record_.value() && end <= index_.disk_consistent);
  std::vector<LayerPtr> remove;
  std::vector<LayerPtr> add;
  for (const LayerPtr& layer : layers_) {
    if (layer->name().begin > end || anew.layers_.contains(layer)) continue;
    CHECK(layer->name().end <= end + 1);
    remove.push_back(layer);
  }
  for (const LayerPtr& layer : anew.layers_)
    if (!layers_.contains(layer)) add.push_back(layer);
  anew.layers_.clear();
  return replace(task, std::move(remove), std::move(add));
}

void LayerStore::drop(LayerStore& anew) {
  for (const LayerPtr& layer : anew.layers_)
    if (!layers_.contains(layer)) doomed_.push_back(layer);
  work_.notify_all();
  anew.layers_.clear();
}

Status LayerStore::sweep(Task& task) {
  if (doomed_.empty()) return {};
  if (index_stale_) {
    env_.probe("pageserver.index-written-again"_probe);
    TRY(write_index(task));
  }
  std::vector<LayerPtr> keep;
  std::vector<LayerPtr> doomed = std::move(doomed_);
  doomed_.clear();
  for (LayerPtr& layer : doomed) {
    if (layer.use_count() > 1) {
      env_.probe("pageserver.layer-still-read"_probe);
      doomed_.push_back(std::move(layer));
      continue;
    }
    layer->close();
    Status gone = env_.disk().unlink(task, layer->path());
    if (!gone.ok() && !gone.is(Code::NotFound)) return gone.error().with("remove layer " + layer->path());
  }
  return {};
}

}  // namespace argon::pageserver
