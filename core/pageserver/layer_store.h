// LayerStore: the storage engine of one timeline over the node's disk.
//
// Changes go into the open memory layer, which is frozen when it is big, flushed to a delta layer
// over all keys (L0), and several L0 are merged into delta layers by key range (L1). Where many
// delta layers lie above the last image of a range, an image layer is made. A read collects the
// versions of a key from its LSN down to one that ends the chain, and goes on in the ancestor at
// the branch LSN.
//
// Invariants:
// 1. Everything up to disk_consistent() is in layers of the index file; what is above is in memory.
// 2. The set of layers changes in one step without suspension, and the index file is replaced
//    atomically after the new layers are durable and before old ones are removed.
// 3. Delta layers of one key never overlap in LSN. A key an image layer's range contains and the
//    layer does not hold does not exist at the layer's LSN.
// 4. Flushes may overlap; they take effect in the order of their LSNs. One compaction at a time: the caller
//    sees to it (class Timeline).
//
// A read at LSN L must be asked for only when last_record() >= L: later puts are then above L.

#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "core/env/env.h"
#include "core/fiber/sync.h"
#include "core/pageserver/layer_file.h"
#include "core/pageserver/layer_map.h"
#include "core/pageserver/layer_writer.h"
#include "core/pageserver/memory_layer.h"
#include "core/pageserver/timeline_index.h"

namespace argon::pageserver {

struct StoreOptions {
  uint64_t checkpoint_distance = 64u << 20;  // bytes of values in the open layer, before it is frozen
  uint32_t max_frozen = 2;                   // memory layers waiting to be flushed, before writers wait
  uint32_t compaction_threshold = 6;         // L0 layers that start a compaction
  uint32_t compaction_limit = 12;            // L0 layers taken at once
  uint32_t l0_limit = 30;  // L0 layers, before writers wait for a compaction; never below the threshold
  uint64_t compaction_target = 64u << 20;  // bytes of values in an L1 or image layer
  uint32_t image_threshold = 3;            // delta layers above the last image that ask for a new one
  bool compress = true;                    // values, where it pays, but in L0 layers, which do not live long
};

// The versions of a key, newest first, and whether the last of them ends the chain.
struct Chain {
  std::vector<Version> versions;
  bool complete = false;
};

class LayerStore {
 public:
  using LayerPtr = LayerMap::LayerPtr;
  // Makes the value of a key from its chain, for image layers. NotFound: the key does not exist.
  using Materialize = std::function<Result<Bytes>(Task&, const Key&, Lsn)>;

  LayerStore(Env& env, TenantTimelineId id, std::string folder, const StoreOptions& options,
             NodeCache& cache);

  const TenantTimelineId& id() const { return index_.id; }
  const std::string& folder() const { return folder_; }
  // Makes the folder, opens as open() does, and writes the index file: a new timeline, or one whose
  // index came from the object store.
  Status create(Task& task, const TimelineIndex& index);
  // The index file of a folder. NotFound where there is none.
  static Result<TimelineIndex> read_index(Task& task, Disk& disk, const std::string& folder);
  // Removes the index file durably, and nothing else. Ok where there is none.
  static Status remove_index(Task& task, Disk& disk, const std::string& folder);
  // Removes a timeline's folder, the index first and durably: it never names what is not there. Ok where
  // there is none.
  static Status remove_folder(Task& task, Disk& disk, const std::string& folder);
  // Opens what create() made, or an earlier life left, with the given index; removes files it does
  // not name.
  Status open(Task& task, const TimelineIndex& index);
  // These layers are in the object store: what is missing or damaged here is fetched by reads.
  void set_uploaded(const std::set<LayerName>& names, const LayerFile::Fetch& fetch);
  // The ancestor outlives this store.
  void set_ancestor(LayerStore* ancestor) { ancestor_ = ancestor; }
  void set_generation(Generation generation);

  // ---- Writing. None of these suspends but wait_for_room().
  Status wait_for_room(Task& task);
  // Whether L0 layers are being compacted: writers wait for fewer of them only then, so that a timeline whose
  // compaction fails, or is not allowed, still takes WAL. Not so at first.
  void set_compacting(bool compacting);
  bool too_many_l0() const;
  // REQUIRES: lsn > last_record().
  void put(const Key& key, Lsn lsn, ByteView value);
  // All changes up to `lsn`, the end of the record that starts at `prev`, were put.
  void advance(Lsn lsn, Lsn prev);
  bool wants_freeze() const { return open_->bytes() >= options_.checkpoint_distance; }
  // Closes the open layer, if it advanced since the last one.
  void freeze();

  Watermark<Lsn>& last_record() { return last_record_; }
  Lsn prev_record() const { return prev_record_; }
  Lsn disk_consistent() const { return index_.disk_consistent; }
  Lsn start_lsn() const { return index_.start_lsn; }
  Lsn ancestor_lsn() const { return index_.ancestor_lsn; }
  uint64_t memory_bytes() const;
  size_t frozen() const { return frozen_.size(); }
  bool has_unflushed() const { return last_record_.value() > index_.disk_consistent; }
  // Notified when a layer was frozen and when the set of layers changed.
  WaitList& changes() { return changes_; }
  // Notified when there may be something to do in the background, where there was nothing.
  WaitList& work() { return work_; }

  // ---- Reading.
  // Of versions above `above` only: then the chain is complete where one of these ends it.
  Result<Chain> collect(Task& task, const Key& key, Lsn lsn, Lsn above = Lsn());
  // The newest version of every key of a sparse range that exists at lsn (taken-back entries left out). As
  // with collect(), what is below an image of a key does not count, in an ancestor neither. Of keys that a
  // filter does not want nothing is read.
  using KeyFilter = bool (*)(const Key& key);
  Result<std::map<Key, Bytes>> scan(Task& task, const KeyRange& range, Lsn lsn, KeyFilter wanted = nullptr);

  // ---- Background work.
  // Flushes the oldest frozen layer that no flush has taken; false if there is none. Where older ones are
  // being flushed it waits for these, once it has written its own; where one of them fails, it fails too.
  Result<bool> flush_one(Task& task);
  // Writes image layers that hold exactly `entries` (sorted) and together cover all keys, at `lsn`.
  Status write_images(Task& task, Lsn lsn, const std::vector<std::pair<Key, Bytes>>& entries);
  bool wants_compaction() const { return l0_count() >= options_.compaction_threshold; }
  // Merges the oldest L0 layers; false if there are fewer than two. compact_l0_below(): of those that end at
  // or below `lsn`, be it a single one.
  Result<bool> compact_l0(Task& task) { return compact_oldest_l0(task, Lsn::max(), 2); }
  Result<bool> compact_l0_below(Task& task, Lsn lsn) { return compact_oldest_l0(task, lsn, 1); }
  // The range of keys that needs an image most, if any, and the LSN up to which deltas are compacted.
  struct ImageNeed {
    KeyRange keys;
    Lsn lsn;
  };
  std::optional<ImageNeed> image_need() const;
  // From the first key of the range that the last compaction changed to the range's end, if it changed any.
  Result<std::optional<ImageNeed>> changed_by_compaction(Task& task, const KeyRange& range) const;
  // `keys`: all that exist in need.keys at need.lsn, sorted.
  Status create_image(Task& task, const ImageNeed& need, const std::vector<Key>& keys,
                      const Materialize& make);
  // ---- Garbage collection (layer_gc.cc). Below the cutoff only the LSNs that were retained can be read.
  Lsn gc_cutoff() const { return index_.gc_cutoff; }
  const std::vector<Lsn>& retained() const { return index_.retained; }
  // What lies at `lsn` in this timeline, not in an ancestor, is still all there.
  bool keeps(Lsn lsn) const;
  // In force at once, durable with the next index; nothing is removed by it before that. REQUIRES: cutoff is
  // at or above the former one, and at or below disk_consistent(); `retained` are ascending, below cutoff,
  // and kept.
  void set_gc_cutoff(Lsn cutoff, std::vector<Lsn> retained);
  // Layers that no read at or above the cutoff, nor at a retained LSN, looks at. Suspends in between, while
  // only flushes may go on.
  Result<std::vector<LayerPtr>> garbage(Task& task) const;
  // Takes them out of the index; their files go with the next sweep.
  Status remove(Task& task, std::vector<LayerPtr> layers) { return replace(task, std::move(layers), {}); }
  // What only an image at the cutoff can turn into garbage: bytes of layers, and the keys (disjoint,
  // ascending) that the image must be of.
  struct Coverable {
    std::vector<KeyRange> keys;
    uint64_t bytes = 0;
  };
  Result<Coverable> coverable(Task& task) const;

  // Removes files of layers that left the index and that nobody reads any more.
  Status sweep(Task& task);
  bool has_doomed() const { return !doomed_.empty(); }

  // ---- Making anew what rotted before it was in the object store.
  // A second store of the timeline as `uploaded` says, an index of the object store: it shares the layers
  // that are here, and fetches the others. It ends at the index's disk-consistent LSN; WAL from there on is
  // ingested again. Its files lie in the same folder, its index is never written. Give it to adopt() or
  // drop().
  std::unique_ptr<LayerStore> as_uploaded(const TimelineIndex& uploaded, const LayerFile::Fetch& fetch);
  // Of such a store: makes L0 layers of all frozen memory.
  Status flush_unnamed(Task& task);
  // Takes its layers in place of all that end where it ends, or before. REQUIRES: it ends at an LSN that a
  // flush of this store ended at; nothing compacts meanwhile.
  Status adopt(Task& task, LayerStore& anew);
  // Its files that are not this store's go with the next sweep.
  void drop(LayerStore& anew);

  // ---- Taking over what an ancestor has (detach.cc).
  // Adds to `copies` a layer of this timeline with what `from` holds up to `up_to`, if anything. Nothing
  // names it yet.
  Status copy_layer(Task& task, const LayerPtr& from, Lsn up_to, std::vector<LayerPtr>& copies);
  // The files of layers that nothing names go with the next sweep.
  void forget(std::vector<LayerPtr>& unnamed);
  // The next index has a higher one.
  void raise_sequence(uint64_t sequence) { index_.sequence = std::max(index_.sequence, sequence); }

  // ---- What the uploader needs.
  TimelineIndex index() const;
  // The same under a sequence number of its own.
  TimelineIndex next_index() {
    index_.sequence++;
    return index();
  }
  std::vector<LayerPtr> layers() const { return layers_.all(); }
  size_t l0_count() const { return layers_.l0_count(); }
  uint64_t layer_bytes() const;
  uint64_t resident_bytes() const;  // of these, on the node's disk

 private:
  LayerPtr add_layer(const LayerName& name, uint64_t size);
  LayerName new_name(LayerKind kind, const KeyRange& keys, Lsn begin, Lsn end);
  Result<LayerPtr> write_layer(Task& task, const LayerName& name, const LayerWriter::Fill& fill) {
    return LayerWriter::write(task, folder_, index_.id, name, cache_, options_.compress && !is_l0(name),
                              fill);
  }
  // Null where the memory is empty.
  Result<LayerPtr> write_memory(Task& task, const MemoryLayer& memory);
  Status replace(Task& task, std::vector<LayerPtr> remove, std::vector<LayerPtr> add,
                 std::optional<std::pair<Lsn, Lsn>> consistent = {});
  Status doom(const Status& failed, std::vector<LayerPtr>& outputs);
  Status merge_l0(Task& task, const std::vector<LayerPtr>& inputs, std::vector<LayerPtr>& outputs);
  Status write_image_layers(Task& task, const ImageNeed& need, const std::vector<Key>& keys,
                            const Materialize& make, std::vector<LayerPtr>& added);
  Status write_index(Task& task);
  Status reach(Task& task, Lsn lsn);
  Result<bool> collect_here(Task& task, const Key& key, Lsn lsn, Lsn above, std::vector<Version>& out);
  Result<bool> collect_once(Task& task, const Key& key, Lsn lsn, Lsn above, std::vector<Version>& out);
  // `below`: the parts of the range that have no image here, for the ancestor.
  Status scan_here(Task& task, const KeyRange& range, Lsn lsn, KeyFilter wanted, std::map<Key, Version>& out,
                   std::vector<KeyRange>& below);
  Status scan_once(Task& task, const KeyRange& range, Lsn lsn, KeyFilter wanted, std::map<Key, Version>& out,
                   std::vector<KeyRange>& below);
  // After an error of a read that began with that many layer_sets_: what it looked at may be gone.
  bool try_again(uint64_t began_with, const Error& error) const;
  // Parts of a range, ascending, each with the newest image at or below `lsn` that holds it, if any.
  struct Part {
    KeyRange keys;
    LayerPtr image;
  };
  std::vector<Part> parts_by_image(const KeyRange& range, Lsn lsn) const;
  Result<bool> compact_oldest_l0(Task& task, Lsn up_to, size_t at_least);
  // The parts of the layer's range that a read at `lsn` may look at it for.
  std::vector<KeyRange> needed_for(const LayerFile& layer, Lsn lsn) const;
  bool needed_for_retained(const LayerFile& layer) const;
  uint32_t deltas_above_image(const KeyRange& range) const;
  std::vector<LayerPtr> newest_l1() const;
  Lsn image_lsn(const LayerFile& l1) const;

  Env& env_;
  std::string folder_;
  StoreOptions options_;
  NodeCache& cache_;
  TimelineIndex index_;  // without its layers
  LayerStore* ancestor_ = nullptr;
  Watermark<Lsn> last_record_;
  Lsn prev_record_;
  std::shared_ptr<MemoryLayer> open_;
  struct Frozen {
    std::shared_ptr<MemoryLayer> layer;
    Lsn last;
    Lsn prev;
    bool taken = false;  // by a flush
  };
  Status wait_for_older(Task& task, const Frozen& frozen);
  std::deque<Frozen> frozen_;
  WaitList flushes_;  // notified when one has ended or failed
  WaitList room_;
  bool compacting_ = false;
  WaitList changes_;
  WaitList work_;
  LayerMap layers_;
  uint64_t layer_sets_ = 0;  // that layers_ has been
  std::vector<LayerPtr> doomed_;
  Mutex index_writing_;
  bool index_stale_ = false;  // the last write of the index file failed
};

}  // namespace argon::pageserver
