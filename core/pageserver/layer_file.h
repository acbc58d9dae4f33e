// LayerFile: one layer on the node's disk, or only in the object store until somebody reads it.
//
// Every block read is checked; what is wrong is Code::Corrupt and names file and offset. Where the
// layer is in the object store too, a file that is missing, cut or corrupt is fetched again, once,
// before the error is given: so such a file may be evicted at any time. Shared between the layer map and
// readers in progress: a layer that left the map stays readable until the last of them let go, unless it is
// evicted and its object removed meanwhile (LayerStore then reads again).

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/env/env.h"
#include "core/fiber/sync.h"
#include "core/pageserver/bloom_filter.h"
#include "core/pageserver/layer_format.h"
#include "core/pageserver/node_cache.h"

namespace argon::pageserver {

// A version of a key, found while reading.
struct Version {
  Lsn lsn;
  Bytes value;
};

class LayerFile {
 public:
  // Brings the file's content from the object store to `path`, durably.
  using Fetch = std::function<Status(Task&, const LayerFile&)>;

  LayerFile(const TenantTimelineId& owner, const LayerName& name, std::string path, uint64_t size,
            NodeCache& cache)
      : owner_(owner), name_(name), path_(std::move(path)), size_(size), cache_(cache) {}
  ~LayerFile() { close(); }
  LayerFile(const LayerFile&) = delete;
  LayerFile& operator=(const LayerFile&) = delete;

  const LayerName& name() const { return name_; }
  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  bool is_delta() const { return name_.kind == LayerKind::Delta; }
  bool is_l0() const { return pageserver::is_l0(name_); }
  // In the object store, under its name.
  bool uploaded() const { return uploaded_; }
  void set_uploaded(Fetch fetch) {
    uploaded_ = true;
    fetch_ = std::move(fetch);
  }

  // All of its keys were added to the filter. Without one it may hold any.
  void set_filter(BloomFilter filter) { filter_ = std::move(filter); }
  bool may_hold(const Key& key) const { return !filter_ || filter_->may_hold(key); }

  // Its file is on the node's disk, as far as is known.
  bool resident() const { return resident_; }
  void set_resident() { resident_ = true; }
  // 0: not in this life.
  MonotonicTime last_read() const { return last_read_; }
  // Removes the file; the next read fetches it again. Readers go on. REQUIRES: uploaded().
  Status evict(Task& task);

  // Appends the versions of key in [low, high), newest first, down to one that ends the chain; true
  // if such a one was found.
  Result<bool> collect(Task& task, const Key& key, Lsn low, Lsn high, std::vector<Version>& out);
  Result<LayerHeader> header(Task& task);
  Result<std::shared_ptr<const LayerNode>> node(Task& task, uint32_t block);
  // Bytes [offset, offset + length) of the stream of values. Where that follows what was asked for last, more
  // is read at once, and kept for the calls to come.
  Result<Bytes> values(Task& task, uint64_t offset, uint64_t length);
  // Makes a value of what is stored.
  Status expand(Bytes& stored) const;
  // The block of the leaf that holds the first entry >= (key, lsn), or the one before it.
  Result<uint32_t> find_leaf(Task& task, const Key& key, Lsn lsn);
  // Closes the file, and has nothing in memory of it; the next read opens it again.
  void close();

 private:
  static constexpr uint64_t kWindowBytes = 128 * 1024;
  // A reader of one key after the other may pass by what is not visible at its LSN.
  static constexpr uint64_t kSequentialGap = kLayerBlock;

  Status open(Task& task);
  Status open_local(Task& task);
  Status fetch(Task& task);
  Result<Bytes> read_values(Task& task, uint64_t offset, uint64_t length);
  // So many blocks from `first` on, checked.
  Result<Bytes> read_blocks(Task& task, const LayerBlock& first, uint32_t count);
  Result<Bytes> read_blocks_local(Task& task, const LayerBlock& first, uint32_t count);
  Error broken(const Error& error) const;

  TenantTimelineId owner_;
  LayerName name_;
  std::string path_;
  uint64_t size_;
  NodeCache& cache_;
  bool uploaded_ = false;
  bool resident_ = false;
  MonotonicTime last_read_;
  Fetch fetch_;
  std::optional<BloomFilter> filter_;
  Mutex opening_;
  std::shared_ptr<File> file_;
  LayerHeader header_;
  std::vector<CachedNode> nodes_;  // of the index blocks; set when the file is first opened
  // Of the stream of values:
  uint64_t asked_up_to_ = 0;                            // by the last call
  std::optional<std::pair<uint64_t, uint64_t>> ahead_;  // from, to: on its way into a window
  WaitList ahead_done_;
};

// Walks the entries of a layer in order of (key, LSN), reading values in large pieces.
class LayerCursor {
 public:
  LayerCursor(std::shared_ptr<LayerFile> layer, const KeyRange& range, uint32_t read_ahead = 256 * 1024)
      : layer_(std::move(layer)), range_(range), read_ahead_(read_ahead) {}

  // The first, or next, entry of the range: true. At the end: false.
  Result<bool> next(Task& task);
  const LayerEntry& entry() const { return entry_; }
  // The value of entry(). Borrowed until the next call.
  Result<ByteView> value(Task& task);
  LayerFile& layer() { return *layer_; }

 private:
  std::shared_ptr<LayerFile> layer_;
  KeyRange range_;
  uint32_t read_ahead_;
  bool started_ = false;
  uint32_t leaf_ = 0;
  size_t at_ = 0;
  std::shared_ptr<const LayerNode> node_;
  LayerEntry entry_;
  uint64_t buffer_offset_ = 0;
  Bytes buffer_;
  Bytes expanded_;
};

}  // namespace argon::pageserver
