#include "core/pageserver/layer_file.h"

#include <algorithm>
#include <tuple>

#include "core/env/io.h"

namespace argon::pageserver {

namespace {

using Entries = std::vector<LayerEntry>;

// Where those below (key, lsn) end. Pages of a relation are mostly all there, in a row: such a place is
// guessed first, since a search of a node that the processor's caches do not have waits for memory at each
// step.
Entries::const_iterator end_below(const LayerNode& leaf, const Key& key, Lsn lsn) {
  const Entries& entries = leaf.entries;
  auto is_below = [&](const LayerEntry& e) { return std::tie(e.key, e.lsn) < std::tie(key, lsn); };
  if (key.f6 >= leaf.first_f6) {
    size_t guess = key.f6 - leaf.first_f6;
    bool found = guess < entries.size() && entries[guess].key == key && is_below(entries[guess]);
    if (found && (guess + 1 == entries.size() || !is_below(entries[guess + 1])))
      return entries.begin() + static_cast<std::ptrdiff_t>(guess) + 1;
  }
  return std::ranges::partition_point(entries, is_below);
}

}  // namespace

// That the layer is not there must not be taken for a key that does not exist.
Error LayerFile::broken(const Error& error) const {
  Code code = error.code() == Code::NotFound ? Code::Corrupt : error.code();
  return Error(code, error.message(), error.os_error()).with("layer " + path_ + " of " + to_string(owner_));
}

void LayerFile::close() {
  file_.reset();
  for (CachedNode& node : nodes_) cache_.remove(node);
  cache_.remove_window(name_.file_id);
}

Status LayerFile::open_local(Task& task) {
  TRY_ASSIGN(std::unique_ptr<File> file, task.env().disk().open(task, path_, OpenMode::Read));
  TRY_ASSIGN(uint64_t size, file->size(task));
  if (size != size_)
    return Error(Code::Corrupt, "the file has " + std::to_string(size) + " bytes where the index says " +
                                    std::to_string(size_));
  Bytes block(kLayerBlock);
  TRY(read_exact_at(task, *file, 0, block));
  TRY_ASSIGN(LayerHeader header, parse_layer_header(block));
  bool ours = header.owner == owner_ && header.kind == name_.kind && header.keys == name_.keys &&
              header.begin == name_.begin && header.end == name_.end && header.file_id == name_.file_id &&
              header.file_size() == size_;
  if (!ours) return Error(Code::Corrupt, "block 0: the header is of another layer than the file's name");
  if (nodes_.empty()) nodes_ = std::vector<CachedNode>(header.index_blocks);
  if (nodes_.size() != header.index_blocks)
    return Error(Code::Corrupt, "block 0: the header says another index than before");
  header_ = header;
  file_ = std::move(file);
  return {};
}

Status LayerFile::fetch(Task& task) {
  if (Status fetched = fetch_(task, *this); !fetched.ok()) return broken(fetched.error());
  resident_ = true;
  return {};
}

Status LayerFile::evict(Task& task) {
  CHECK(uploaded_);
  Lock lock;
  TRY(lock.acquire(task, opening_));
  file_.reset();
  Status gone = task.env().disk().unlink(task, path_);
  if (!gone.ok() && !gone.is(Code::NotFound)) return broken(gone.error().with("evict"));
  resident_ = false;
  return {};
}

Status LayerFile::open(Task& task) {
  last_read_ = task.env().now();
  if (file_) return {};
  Lock lock;
  TRY(lock.acquire(task, opening_));
  if (file_) return {};
  Status status = open_local(task);
  bool repairable = status.is(Code::NotFound) || status.is(Code::Corrupt);
  if (status.ok() || !uploaded_ || !repairable) return status.ok() ? status : Status(broken(status.error()));
  TRY(fetch(task));
  status = open_local(task);
  return status.ok() ? status : Status(broken(status.error()));
}

Result<Bytes> LayerFile::read_blocks_local(Task& task, const LayerBlock& first, uint32_t count) {
  TRY(open(task));
  std::shared_ptr<File> file = file_;
  Bytes blocks(count * first.bytes);
  if (Status whole = read_exact_at(task, *file, first.offset, blocks); !whole.ok())
    return whole.error().with("read at offset " + std::to_string(first.offset));
  for (uint32_t i = 0; i < count; i++) {
    if (!check_layer_block(ByteView(&blocks[i * first.bytes], first.bytes), name_.file_id, first.number + i))
      return Error(Code::Corrupt, "block " + std::to_string(first.number + i) + " (offset " +
                                      std::to_string(first.offset + i * first.bytes) + "): wrong checksum");
  }
  return blocks;
}

Result<Bytes> LayerFile::read_blocks(Task& task, const LayerBlock& first, uint32_t count) {
  auto blocks = read_blocks_local(task, first, count);
  if (blocks.ok()) return blocks;
  if (!blocks.is(Code::Corrupt) || !uploaded_) return broken(blocks.error());
  {
    Lock lock;
    TRY(lock.acquire(task, opening_));
    file_.reset();
    TRY(fetch(task));
  }
  auto again = read_blocks_local(task, first, count);
  return again.ok() ? std::move(again) : Result<Bytes>(broken(again.error()));
}

Result<LayerHeader> LayerFile::header(Task& task) {
  TRY(open(task));
  return header_;
}

Result<std::shared_ptr<const LayerNode>> LayerFile::node(Task& task, uint32_t block) {
  if (!file_) TRY(open(task));
  if (block < header_.first_leaf() || block > header_.root())
    return broken(Error(Code::Corrupt, "no index block " + std::to_string(block)));
  CachedNode& cached = nodes_[block - header_.first_leaf()];
  if (cached.node != nullptr) {
    cached.used = true;
    return cached.node;
  }
  TRY_ASSIGN(Bytes bytes, read_blocks(task, {block, uint64_t{block} * kLayerBlock, kLayerBlock}, 1));
  auto parsed = parse_layer_node(bytes, header_);
  if (!parsed.ok()) return broken(parsed.error().with("block " + std::to_string(block)));
  auto node = std::make_shared<const LayerNode>(std::move(*parsed));
  if (cached.node == nullptr) cache_.insert(cached, node);
  return node;
}

Result<Bytes> LayerFile::values(Task& task, uint64_t offset, uint64_t length) {
  TRY(open(task));
  if (length == 0 || offset > header_.value_bytes || length > header_.value_bytes - offset)
    return broken(Error(Code::Corrupt, "values outside the file"));
  bool sequential = offset >= asked_up_to_ && offset - asked_up_to_ <= kSequentialGap && asked_up_to_ != 0;
  asked_up_to_ = offset + length;
  if (ahead_ && ahead_->first <= offset && offset + length <= ahead_->second) TRY(ahead_done_.wait(task));
  if (const ValueWindow* window = cache_.window(name_.file_id); window && window->holds(offset, length)) {
    const uint8_t* begin = window->values.data() + (offset - window->begin);
    return Bytes(begin, begin + length);
  }
  if (sequential && length < kWindowBytes && !ahead_) {
    uint64_t bytes = std::min(kWindowBytes, header_.value_bytes - offset);
    ahead_ = {offset, offset + bytes};
    auto wide = read_values(task, offset, bytes);
    ahead_.reset();
    ahead_done_.notify_all();
    if (wide.is(Code::Cancelled)) return wide.error();
    if (wide.ok()) {
      Bytes out(wide->begin(), wide->begin() + static_cast<ptrdiff_t>(length));
      cache_.set_window(name_.file_id, {offset, *std::move(wide)});
      return out;
    }
    // What is wrong may lie beyond what was asked for.
  }
  return read_values(task, offset, length);
}

Status LayerFile::expand(Bytes& stored) const {
  Status expanded = expand_value(stored);
  return expanded.ok() ? expanded : Status(broken(expanded.error()));
}

Result<Bytes> LayerFile::read_values(Task& task, uint64_t offset, uint64_t length) {
  const size_t payload = header_.payload();
  auto first = static_cast<uint32_t>(offset / payload);
  auto last = static_cast<uint32_t>((offset + length - 1) / payload);
  LayerBlock begin{1 + first, header_.value_block_at(first), 4 + payload};
  TRY_ASSIGN(Bytes blocks, read_blocks(task, begin, last - first + 1));
  size_t skip = offset % payload;
  if (first == last) {
    blocks.resize(4 + skip + length);
    blocks.erase(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(4 + skip));
    return blocks;
  }
  Bytes out;
  out.reserve(length);
  for (size_t at = 0; out.size() < length; at += begin.bytes, skip = 0) {
    size_t n = std::min<size_t>(payload - skip, length - out.size());
    append(out, ByteView(&blocks[at + 4 + skip], n));
  }
  return out;
}

Result<uint32_t> LayerFile::find_leaf(Task& task, const Key& key, Lsn lsn) {
  TRY(open(task));
  uint32_t block = header_.root();
  for (int level = header_.levels - 1; level > 0; level--) {
    TRY_ASSIGN(auto parsed, node(task, block));
    if (parsed->level != level) return broken(Error(Code::Corrupt, "index block of the wrong level"));
    const auto& children = parsed->children;
    auto above = std::ranges::upper_bound(children, std::pair(key, lsn), {},
                                          [](const LayerChild& c) { return std::pair(c.key, c.lsn); });
    block = above == children.begin() ? children.front().block : std::prev(above)->block;
  }
  return block;
}

Result<bool> LayerFile::collect(Task& task, const Key& key, Lsn low, Lsn high, std::vector<Version>& out) {
  TRY_ASSIGN(uint32_t leaf, find_leaf(task, key, high));
  for (;; leaf--) {
    TRY_ASSIGN(auto parsed, node(task, leaf));
    if (parsed->level != 0) return broken(Error(Code::Corrupt, "index block of the wrong level"));
    const auto& entries = parsed->entries;
    auto end = end_below(*parsed, key, high);
    auto begin = end;
    bool ended = false;
    while (begin != entries.begin() && !ended) {
      const LayerEntry& before = *std::prev(begin);
      if (before.key != key || before.lsn < low) break;
      --begin;
      ended = before.ends_chain;
    }
    if (begin != end) {
      uint64_t from = begin->offset;
      TRY_ASSIGN(Bytes bytes, values(task, from, std::prev(end)->offset + std::prev(end)->length - from));
      for (auto at = std::prev(end); at != begin; --at) {
        const uint8_t* stored = bytes.data() + (at->offset - from);
        Bytes value(stored, stored + at->length);
        TRY(expand(value));
        out.push_back({at->lsn, std::move(value)});
      }
      bytes.resize(begin->length);
      TRY(expand(bytes));
      out.push_back({begin->lsn, std::move(bytes)});
    }
    if (ended) return true;
    if (begin != entries.begin() || leaf == header_.first_leaf()) return false;
  }
}

Result<bool> LayerCursor::next(Task& task) {
  if (!started_) {
    TRY_ASSIGN(leaf_, layer_->find_leaf(task, range_.begin, Lsn()));
    TRY_ASSIGN(node_, layer_->node(task, leaf_));
    at_ = 0;
    while (at_ < node_->entries.size() && node_->entries[at_].key < range_.begin) at_++;
    started_ = true;
  } else {
    at_++;
  }
  TRY_ASSIGN(LayerHeader header, layer_->header(task));
  while (at_ >= node_->entries.size()) {
    if (leaf_ + 1 >= header.first_leaf() + header.leaves) return false;
    leaf_++;
    TRY_ASSIGN(node_, layer_->node(task, leaf_));
    at_ = 0;
  }
  entry_ = node_->entries[at_];
  return entry_.key < range_.end;
}

Result<ByteView> LayerCursor::value(Task& task) {
  bool inside =
      entry_.offset >= buffer_offset_ && entry_.offset + entry_.length <= buffer_offset_ + buffer_.size();
  if (!inside) {
    TRY_ASSIGN(LayerHeader header, layer_->header(task));
    uint64_t wanted = std::max<uint64_t>(entry_.length, read_ahead_);
    wanted = std::min(wanted, header.value_bytes - entry_.offset);
    TRY_ASSIGN(buffer_, layer_->values(task, entry_.offset, wanted));
    buffer_offset_ = entry_.offset;
  }
  ByteView stored(buffer_.data() + (entry_.offset - buffer_offset_), entry_.length);
  if (!is_compressed(stored)) return stored;
  expanded_ = to_bytes(stored);
  TRY(layer_->expand(expanded_));
  return ByteView(expanded_);
}

}  // namespace argon::pageserver
