// MaterializedPages: pages that reads made of records, within a bound, those that were not used for long out
// first. A page that is read again is made of what was added since.
//
// A page stands for a span of LSNs: its newest version's, up to the last LSN it was read at. What is below
// the span need not be looked at for a read in it or above it, and for one in it nothing at all. Only pages
// of many versions are kept: to redo a few records takes no longer than to keep what they make.
//
// It holds whatever flush, compaction and GC do meanwhile: what is readable at an LSN never changes. Pages of
// an owner that is gone are not found any more, and leave with time.

#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "core/base/ids.h"
#include "core/base/metrics.h"
#include "core/pageserver/key.h"

namespace argon::pageserver {

class MaterializedPages {
 public:
  struct Page {
    Lsn since;  // of its newest version
    Lsn until;  // no other version up to here
    Bytes content;
  };

  // `capacity`: pages, of 8 KiB each; none is kept where it is 0. `many`: versions that make one worth it.
  MaterializedPages(size_t capacity, size_t many, Metrics& metrics);

  // A number that nobody had: whose pages they are.
  uint64_t new_owner() { return ++owners_; }
  bool worth_keeping(size_t versions) const { return versions >= many_; }
  // Null where there is none, or none that a read at `lsn` can begin with. Who found that no version follows
  // moves `until` up.
  std::shared_ptr<Page> find(uint64_t owner, const Key& key, Lsn lsn);
  // Takes the place of one whose span ends earlier.
  void insert(uint64_t owner, const Key& key, Page page);

 private:
  struct Place {
    uint64_t owner;
    Key key;
    bool operator==(const Place&) const = default;
  };
  struct Hash {
    size_t operator()(const Place& place) const {
      return hash_of(place.key) ^ place.owner * 0x9E3779B97F4A7C15;
    }
  };
  using Entry = std::pair<Place, std::shared_ptr<Page>>;

  size_t capacity_;
  size_t many_;
  uint64_t owners_ = 0;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<Place, std::list<Entry>::iterator, Hash> places_;
  Counter& hits_;
  Counter& hits_direct_;
};

}  // namespace argon::pageserver
