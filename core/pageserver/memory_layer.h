// MemoryLayer: the changes since the last flush, by key and LSN. Not durable: WAL is read again
// from where the last uploaded layer ends.

#pragma once

#include <deque>
#include <map>
#include <vector>

#include "core/base/ids.h"
#include "core/pageserver/key.h"
#include "core/pageserver/layer_file.h"

namespace argon::pageserver {

class MemoryLayer {
 public:
  struct Entry {
    Lsn lsn;
    ByteView value;  // in the layer's own memory
  };
  using Map = std::map<Key, std::vector<Entry>>;

  explicit MemoryLayer(Lsn begin) : begin_(begin) {}
  MemoryLayer(const MemoryLayer&) = delete;
  MemoryLayer& operator=(const MemoryLayer&) = delete;

  // Everything in it is at or above; the layer begins here even where its first change is later.
  Lsn begin() const { return begin_; }
  // Set when the layer is frozen; max until then.
  Lsn end() const { return end_; }
  void freeze(Lsn end) { end_ = end; }
  // Of values; what the map needs is about as much again for short values.
  uint64_t bytes() const { return bytes_; }
  bool empty() const { return entries_.empty(); }
  const Map& entries() const { return entries_; }

  // REQUIRES: not frozen; lsn at or above all LSNs of that key. A value at the same LSN is replaced.
  void put(const Key& key, Lsn lsn, ByteView value);
  // As LayerFile::collect().
  bool collect(const Key& key, Lsn low, Lsn high, std::vector<Version>& out) const;

 private:
  ByteView keep(ByteView value);

  Lsn begin_;
  Lsn end_ = Lsn::max();
  uint64_t bytes_ = 0;
  Map entries_;
  std::deque<Bytes> chunks_;
};

}  // namespace argon::pageserver
