// BloomFilter: which keys a layer may hold. It says yes to each key that was added, and to fewer than one in
// a hundred of the others.
//
// All bits of a key lie in one cache line (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient
// Bloom Filters", 2007).

#pragma once

#include <array>
#include <vector>

#include "core/pageserver/key.h"

namespace argon::pageserver {

class BloomFilter {
 public:
  // For about so many keys.
  explicit BloomFilter(size_t keys);

  void add(const Key& key);
  bool may_hold(const Key& key) const;
  size_t bytes() const { return lines_.size() * sizeof(Line); }

 private:
  static constexpr size_t kBitsPerKey = 12;
  static constexpr int kProbes = 6;
  struct alignas(64) Line {
    std::array<uint64_t, 8> words{};
  };

  std::vector<Line> lines_;
};

}  // namespace argon::pageserver
